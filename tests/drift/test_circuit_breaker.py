"""The circuit breaker opens after gate failures in a row, in one issue, and closes with it or with an approval."""

from __future__ import annotations

from ml.gitops import labels
from tests.drift.retrain_cases import NAMES, commit_request, create_requests, due, moment, resolve
from tests.harness.platform.monitored import MonitoredEndpoint


def test_circuit_breaker_opens_one_issue_and_closes_with_it(env: MonitoredEndpoint) -> None:
    """Three gate failures in a row open an issue and suppress requests; closing the issue resets the count."""
    gate_failed = []
    for number, month in enumerate((1, 2, 3), start=1):
        name = f"20260{month}01T000000Z-concept-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        gate_failed.append(resolve(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number))
    (asked,) = create_requests(env, due("concept"))
    assert (asked.state, env.bot.started) == ("circuit breaker open", [])
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert [label.name for label in issue.labels] == [labels.CIRCUIT_BREAKER.name]
    assert all(f"{name}.yaml`, kind fit" in issue.body for name in gate_failed)
    assert "@alice" not in issue.body
    create_requests(env, due("concept"))
    assert (env.bot.api.get_issue(issue.number).comments, env.bot.api.get_issues().totalCount) == (0, 1)
    assert create_requests(env, due("data"))[0].state == "requested"  # each cause has its own circuit breaker
    issue.edit(state="closed")
    assert create_requests(env, due("concept"))[0].state == "requested"


def test_circuit_breaker_opens_for_the_window_that_was_resolved(env: MonitoredEndpoint) -> None:
    """The next check opens the issue even if its own request is resolved; closing the issue creates no second one."""
    earlier = (f"20260{month}01T000000Z-concept-drift" for month in (3, 4))
    days = ("2026-03-01", "2026-04-01", "2026-05-01")
    for number, (name, at) in enumerate(zip((*earlier, NAMES["concept"]), days, strict=True), start=1):
        commit_request(env, name, at=f"{at}T01:00:00Z")
        resolve(env, name, gate_failed=True, at=f"{at}T02:00:00Z", number=number)
    (asked,) = create_requests(env, due("concept"))
    assert asked.state == "circuit breaker open"
    env.bot.api.get_issue(asked.issue or 0).edit(state="closed")
    assert create_requests(env, due("concept"))[0].state == "already requested"


def test_approval_closes_the_circuit_breaker(env: MonitoredEndpoint) -> None:
    """Gate failures before it no longer count; the issue is closed with a comment that names the approval."""
    for number, month in enumerate((1, 2, 3), start=1):
        name = f"20260{month}01T000000Z-data-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number)
    (asked,) = create_requests(env)
    assert asked.state == "circuit breaker open"
    by_hand = "20260402T000000Z-data-drift"
    commit_request(env, by_hand, at="2026-04-02T06:00:00Z")
    resolve(env, by_hand, gate_failed=False, at="2026-04-03T06:00:00Z", number=4)
    assert create_requests(env)[0].state == "requested"
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert (issue.state, issue.get_comments()[0].body.count("approvals/0004.yaml")) == ("closed", 1)


def test_budget_that_no_model_can_keep_stops_every_cause(env: MonitoredEndpoint) -> None:
    """One such gate failure opens one issue, which asks a person; closing it, or dropping a part, is the way on."""
    name = "20260401T000000Z-prediction-drift"
    commit_request(env, name, at="2026-04-01T06:00:00Z")
    failure = resolve(env, name, gate_failed=True, at="2026-04-01T07:00:00Z", budget=True)
    for kind in ("concept", "data"):
        (asked,) = create_requests(env, due(kind))
        assert (asked.state, env.bot.started) == ("circuit breaker open", [])
        assert asked.reason == f"the alert budget is too small for any model; a person must decide, see #{asked.issue}"
    (issue,) = env.bot.api.get_issues(state="open")
    assert (issue.number, issue.comments) == (asked.issue, 0)
    assert issue.title == "The alert budget is too small for what is fraud now: a person must decide"
    assert f"{failure}.yaml" in issue.body
    assert "`max_false_positive_rate` in `gate.yaml`" in issue.body
    (dropped,) = create_requests(env, due("concept", run_kind="drop", onset=moment(3)))
    assert dropped.state != "circuit breaker open"
    issue.edit(state="closed")
    assert create_requests(env, due("data"))[0].state != "circuit breaker open"


def test_later_failure_for_another_reason_closes_the_question_of_the_budget(env: MonitoredEndpoint) -> None:
    """The latest run decides; the issue is closed with a comment."""
    for number, (month, budget) in enumerate(((2, True), (3, False)), start=1):
        name = f"20260{month}01T000000Z-data-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number, budget=budget)
        if budget:
            (asked,) = create_requests(env, due("concept"))
            assert asked.state == "circuit breaker open"
    assert create_requests(env, due("concept"))[0].state == "requested"
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert (issue.state, issue.get_comments()[0].body.count("A later run ended otherwise.")) == ("closed", 1)


def test_failed_adaptations_do_not_stop_a_drop(env: MonitoredEndpoint) -> None:
    """Both answer concept drift; three failures of one kind of run open the circuit breaker for that kind alone."""
    for number, month in enumerate((1, 2, 3), start=1):
        name = f"20260{month}01T000000Z-concept-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number, kind="adapt")
    assert create_requests(env, due("concept"))[0].state == "circuit breaker open"
    (asked,) = create_requests(env, due("concept", run_kind="drop"))
    assert asked.state == "requested", asked.reason
