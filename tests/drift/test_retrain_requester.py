"""RetrainRequester: each check that suppresses a request, and how one is created (GitHub emulator and moto)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from local_github.server import LocalGitHub

from ml import config
from ml.drift import training_window
from ml.drift.drift_case import DriftCase, RequestOutcome
from ml.drift.retrain_requester import RetrainRequester
from ml.gitops import commit_messages, labels
from ml.gitops.github_client import GitHub
from ml.gitops.remote import Remote
from ml.gitops.repository import BOT
from ml.model.drift import detector
from ml.training import open_requests
from tests.harness.aws import moto_server
from tests.harness.git import repositories
from tests.harness.platform import monitored
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint

NOW = "2026-05-01T05:17:00Z"
NAMES = {kind: f"20260501T000000Z-{kind}-drift" for kind in ("data", "prediction", "concept")}
OLD = "20260401T000000Z-data-drift"


def moment(month: int, day: int = 1) -> datetime:
    """A midnight of 2026."""
    return datetime(2026, month, day, tzinfo=UTC)


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitoredEndpoint]:
    """Transactions and labels of February to April 2026; the clock is at 1 May."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        for made in monitored.watched(github, tmp_path, monkeypatch):
            for month in (2, 3, 4):
                made.month(month, captured=False)
            made.at(NOW)
            yield made


def due(kind: str = "data", *, onset: datetime | None = None) -> DriftCase:
    """A case of drift in April with its onset in March."""
    april = (moment(4), moment(5))
    decision = detector.Decision(kind=kind, onset=onset or moment(3), fired=(april,), considered=(april,))
    return DriftCase(
        decision=decision, reason=f"{kind} has drifted, see @alice", evidence={"kind": kind, "check": "s3://x/y"}
    )


def create_requests(env: MonitoredEndpoint, *cases: DriftCase, **changes: Any) -> list[RequestOutcome]:
    """Creates requests as `fraudops drift check` does; `changes` replace values of drift.yaml."""
    requester = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        bucket=BUCKET,
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        rules=config.load_drift(env.root).model_copy(update=changes),
    )
    outcomes = requester.create(cases or [due()])
    requester.close_circuit_breakers()
    return outcomes


def commit_request(env: MonitoredEndpoint, name: str, *, at: str) -> None:
    """Commits the request of an earlier check."""
    env.at(at)
    cause = name.partition("Z-")[2]
    request = config.RetrainRequest(
        cause=cause, reason="V2 moved", window=config.Window(start=None, end=None), evidence={}
    )
    env.bot.workspace.write(
        {config.REQUESTS / f"{name}.yaml": config.dump(request)}, commit_messages.request(request, name)
    )
    env.bot.push()
    env.at(NOW)


def resolve(env: MonitoredEndpoint, name: str, *, gate_failed: bool, at: str, number: int = 2) -> str:
    """Commits the record that resolves a request; returns the record's name."""
    created = datetime.fromisoformat(at)
    if gate_failed:
        record = config.GateFailureRecord(
            commit=f"{number:040x}",
            requests=(name,),
            verdict=config.Verdict(status="failed", reason="Recall 0.5"),
            evaluation_uri="s3://lake/evaluation.json",
            execution_arn="arn:x",
            created=created,
        )
        path = config.gate_failure_path(created, record.commit)
        content = config.dump(record)
    else:
        path = config.approval_path(number)
        content = config.dump(repositories.record(number, requests=(name,), created=created))
    env.bot.workspace.write({path: content}, f"Resolve {name}")
    env.bot.push()
    return path.stem


def test_request_is_a_bot_commit_and_starts_the_training(env: MonitoredEndpoint) -> None:
    """The request on main is valid and open, and its text mentions no user."""
    (asked,) = create_requests(env)
    assert (asked.state, asked.request, asked.started) == ("requested", NAMES["data"], True)
    env.bot.pull()
    assert list(open_requests.open_requests(env.root)) == [asked.request]
    request = config.load_request(env.root, asked.request)
    assert request.window == config.Window(start=moment(3), end=moment(4, 21))
    assert request.evidence["data"]["days_before_onset"] == 0
    author, subject = env.bot.workspace.git("log", "-1", "--format=%an%n%s").splitlines()
    assert (author, subject) == (BOT.name, f"Open retrain request {asked.request}")
    assert [started[:2] for started in env.bot.started] == [("train.yml", "main")]


def test_app_push_starts_the_training_without_a_dispatch(
    env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an App's token the push triggers train.yml, so a dispatch would run it twice."""
    monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")
    assert not create_requests(env)[0].started
    assert env.bot.started == []
    assert not create_requests(env)[0].started


def test_next_check_starts_a_training_that_was_not_started(env: MonitoredEndpoint) -> None:
    """A check that died between push and dispatch is completed once; a known run is not repeated."""
    first = create_requests(env)[0]
    env.bot.started.clear()
    again = create_requests(env)[0]
    assert (again.state, again.started) == ("already requested", True)
    assert "its training had not been started" in again.reason
    env.trained = [first.commit or ""]
    assert not create_requests(env)[0].started
    assert len(env.bot.started) == 1


@pytest.mark.parametrize("open_kind", ["data", "concept"])
def test_open_request_of_the_same_or_a_stronger_cause_suffices(env: MonitoredEndpoint, open_kind: str) -> None:
    """An open concept-drift request covers data drift; an open data-drift request does not cover concept drift."""
    name = f"20260401T000000Z-{open_kind}-drift"
    commit_request(env, name, at="2026-04-01T06:00:00Z")
    env.trained = [env.bot.tip("main")]
    (asked,) = create_requests(env)
    assert (asked.state, asked.request) == ("already requested", name)
    (stronger,) = create_requests(env, due("concept"))
    assert stronger.state == ("requested" if open_kind == "data" else "already requested")


def test_one_request_covers_all_causes_that_are_due(env: MonitoredEndpoint) -> None:
    """The strongest cause gets a request; the others are suppressed and name it."""
    strongest, other = create_requests(env, due("concept"), due("data"))
    assert (strongest.state, other.state) == ("requested", "suppressed")
    assert strongest.request in other.reason
    assert env.requests() == [NAMES["concept"]]


def test_resolved_request_is_not_created_again(env: MonitoredEndpoint) -> None:
    """A second check of the same window names the gate failure that resolved the request."""
    commit_request(env, NAMES["data"], at="2026-05-01T05:00:00Z")
    resolve(env, NAMES["data"], gate_failed=True, at="2026-05-01T05:10:00Z")
    (asked,) = create_requests(env)
    assert asked.state == "already requested"
    assert "was resolved by model-config/gate-failures/" in asked.reason


@pytest.mark.parametrize(
    ("resolved", "state"), [("2026-04-12T00:00:00Z", "suppressed"), ("2026-04-09T00:00:00Z", "requested")]
)
def test_cooldown_starts_when_a_request_is_resolved(env: MonitoredEndpoint, resolved: str, state: str) -> None:
    """Data drift has 21 days from the approval; each cause has its own cooldown."""
    commit_request(env, OLD, at="2026-04-01T06:00:00Z")
    resolve(env, OLD, gate_failed=False, at=resolved)
    (asked,) = create_requests(env)
    assert asked.state == state
    if state == "suppressed":
        assert "the cooldown of data-drift is 21 days" in asked.reason
        assert create_requests(env, due("concept"))[0].state == "requested"


def test_monthly_cap_counts_all_causes(env: MonitoredEndpoint) -> None:
    """Requests count by the month of their commit on main."""
    for kind, at in (("data", "2026-05-01T01:00:00Z"), ("prediction", "2026-05-01T02:00:00Z")):
        name = f"20260401T000000Z-{kind}-drift"
        commit_request(env, name, at=at)
        resolve(env, name, gate_failed=True, at="2026-03-01T00:00:00Z", number=1 + (kind == "data"))
    (asked,) = create_requests(env, due("concept"))
    assert asked.state == "suppressed"
    assert "2 requests were created this month" in asked.reason
    assert create_requests(env, due("concept"), max_requests_per_month=3)[0].state == "requested"


def test_circuit_breaker_opens_one_issue_and_closes_with_it(env: MonitoredEndpoint) -> None:
    """Two gate failures in a row open an issue and suppress requests; closing the issue resets the count."""
    gate_failed = []
    for number, month in enumerate((1, 2), start=1):
        name = f"20260{month + 1}01T000000Z-concept-drift"
        commit_request(env, name, at=f"2026-0{month + 1}-01T06:00:00Z")
        gate_failed.append(resolve(env, name, gate_failed=True, at=f"2026-0{month + 1}-01T07:00:00Z", number=number))
    (asked,) = create_requests(env, due("concept"))
    assert (asked.state, env.bot.started) == ("circuit breaker open", [])
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert [label.name for label in issue.labels] == [labels.CIRCUIT_BREAKER.name]
    assert all(name in issue.body for name in gate_failed)
    assert "@alice" not in issue.body
    create_requests(env, due("concept"))
    assert (env.bot.api.get_issue(issue.number).comments, env.bot.api.get_issues().totalCount) == (0, 1)
    assert create_requests(env, due("data"))[0].state == "requested"  # each cause has its own circuit breaker
    issue.edit(state="closed")
    assert create_requests(env, due("concept"))[0].state == "requested"


def test_circuit_breaker_opens_for_the_window_that_was_resolved(env: MonitoredEndpoint) -> None:
    """The next check opens the issue even if its own request is resolved; closing the issue creates no second one."""
    before = "20260401T000000Z-concept-drift"
    for number, (name, at) in enumerate(((before, "2026-04-01"), (NAMES["concept"], "2026-05-01")), start=1):
        commit_request(env, name, at=f"{at}T01:00:00Z")
        resolve(env, name, gate_failed=True, at=f"{at}T02:00:00Z", number=number)
    (asked,) = create_requests(env, due("concept"))
    assert asked.state == "circuit breaker open"
    env.bot.api.get_issue(asked.issue or 0).edit(state="closed")
    assert create_requests(env, due("concept"))[0].state == "already requested"


def test_approval_closes_the_circuit_breaker(env: MonitoredEndpoint) -> None:
    """Gate failures before it no longer count; the issue is closed with a comment that names the approval."""
    for number, month in enumerate((2, 3), start=1):
        name = f"20260{month}01T000000Z-data-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number)
    (asked,) = create_requests(env)
    assert asked.state == "circuit breaker open"
    by_hand = "20260402T000000Z-data-drift"
    commit_request(env, by_hand, at="2026-04-02T06:00:00Z")
    resolve(env, by_hand, gate_failed=False, at="2026-04-03T06:00:00Z", number=3)
    assert create_requests(env)[0].state == "requested"
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert (issue.state, issue.get_comments()[0].body.count("approvals/0003.yaml")) == ("closed", 1)


def test_protected_main_gets_one_pull_request(env: MonitoredEndpoint) -> None:
    """A second check updates the pull request; once closed, it is not opened again."""
    env.bot.api.get_branch("main").edit_protection(required_approving_review_count=1, enforce_admins=False)
    (asked,) = create_requests(env)
    assert (asked.state, asked.started, env.requests()) == ("proposed", False, [])
    assert [started[0] for started in env.bot.started] == ["ci.yml"]
    (again,) = create_requests(env)
    assert (again.state, again.pull_request) == ("proposed", asked.pull_request)
    pull = env.bot.api.get_pull(asked.pull_request or 0)
    assert pull.head.ref == f"bot/request-{asked.request}"
    assert [file.filename for file in pull.get_files()] == [f"{config.REQUESTS}/{asked.request}.yaml"]
    later = DriftCase(
        decision=detector.Decision(
            kind="data",
            onset=moment(3),
            fired=((moment(5), moment(6)),),
            considered=((moment(5), moment(6)),),
        ),
        reason="again",
        evidence={},
    )
    (later_outcome,) = create_requests(env, later)
    assert (later_outcome.state, later_outcome.pull_request) == ("already requested", asked.pull_request)
    pull.edit(state="closed")
    (declined,) = create_requests(env)
    assert (declined.state, declined.pull_request) == ("suppressed", asked.pull_request)
    assert "was closed without a merge" in declined.reason


def test_request_is_rebased_on_a_concurrent_push(env: MonitoredEndpoint) -> None:
    """A push between fetch and request does not fail the request."""
    requester = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        bucket=BUCKET,
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        rules=config.load_drift(env.root),
    )
    env.bot.workspace.write({"README.md": "hello\n"}, "Say hello")
    env.bot.push()
    (asked,) = requester.create([due()])
    assert asked.state == "requested"
    assert env.bot.workspace.repository.is_ancestor("HEAD", asked.commit or "")
    assert env.requests() == [asked.request]


def choose(
    env: MonitoredEndpoint, onset: datetime, *, grows: bool, min_positives: int = 15
) -> training_window.TrainingWindow | training_window.NotEnoughLabels:
    """The training window for drift since `onset`."""
    return training_window.choose(
        BUCKET,
        onset=onset,
        end=moment(5),
        grows=grows,
        as_of=datetime.fromisoformat(NOW),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root).model_copy(update={"min_positives": min_positives}),
        labels=config.load_drift(env.root),
    )


def test_training_window_grows_backwards_until_the_test_part_has_enough_frauds(env: MonitoredEndpoint) -> None:
    """It grows by as few days as possible; for concept drift it never grows before the onset."""
    grown = choose(env, moment(4, 15), grows=True, min_positives=60)
    assert isinstance(grown, training_window.TrainingWindow)
    assert grown.test_frauds >= 60
    assert grown.end == moment(4, 21)
    assert 0 < grown.grown_days < 60
    one_day_less = choose(env, moment(4, 15), grows=True, min_positives=61)
    assert isinstance(one_day_less, training_window.TrainingWindow)
    assert one_day_less.start <= grown.start
    short = choose(env, moment(4, 15), grows=False, min_positives=60)
    assert isinstance(short, training_window.NotEnoughLabels)
    assert "the gate requires 60" in short.reason
    hopeless = choose(env, moment(4, 15), grows=True, min_positives=5_000)
    assert isinstance(hopeless, training_window.NotEnoughLabels)
    assert "from 2026-02-01 to 2026-04-21" in hopeless.reason


def test_no_request_without_mature_labels_or_transactions(env: MonitoredEndpoint) -> None:
    """Each reason states what is missing."""
    young = choose(env, moment(4, 25), grows=False)
    assert isinstance(young, training_window.NotEnoughLabels)
    assert "not mature yet (0 of" in young.reason
    nothing = training_window.choose(
        BUCKET,
        onset=moment(7),
        end=moment(8),
        grows=True,
        as_of=moment(9),
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        labels=config.load_drift(env.root),
    )
    assert isinstance(nothing, training_window.NotEnoughLabels)
    assert "holds no transaction" in nothing.reason
    (asked,) = create_requests(env, due("concept", onset=moment(4, 25)))
    assert (asked.state, env.requests()) == ("suppressed", [])
