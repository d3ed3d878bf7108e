"""What holds a request back, and what makes one: each guard with its words, on a GitHub and a lake that are real."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from local_github.server import LocalGitHub

from ml import config
from ml.drift import training_window
from ml.drift.retrain_requester import DriftCase, RequestOutcome, RetrainRequester
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
    """Transactions and labels of February to April, and a repository whose first of May it is."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        for made in monitored.watched(github, tmp_path, monkeypatch):
            for month in (2, 3, 4):
                made.month(month, captured=False)
            made.at(NOW)
            yield made


def due(kind: str = "data", *, onset: datetime | None = None) -> DriftCase:
    """Drift in April, since March."""
    april = (moment(4), moment(5))
    decision = detector.Decision(kind=kind, onset=onset or moment(3), fired=(april,), considered=(april,))
    return DriftCase(
        decision=decision, reason=f"{kind} has drifted, see @alice", evidence={"kind": kind, "check": "s3://x/y"}
    )


def ask(env: MonitoredEndpoint, *cases: DriftCase, **changes: Any) -> list[RequestOutcome]:
    """Asks as `fraudops drift check` does; `changes` replace values of drift.yaml."""
    asking = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        bucket=BUCKET,
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        rules=config.load_drift(env.root).model_copy(update=changes),
    )
    asked = asking.create(cases or [due()])
    asking.close_circuit_breakers()
    return asked


def commit(env: MonitoredEndpoint, name: str, *, at: str) -> None:
    """A request of an earlier check."""
    env.at(at)
    cause = name.partition("Z-")[2]
    made = config.RetrainRequest(
        cause=cause, reason="V2 moved", window=config.Window(start=None, end=None), evidence={}
    )
    env.bot.workspace.write({config.REQUESTS / f"{name}.yaml": config.dump(made)}, commit_messages.request(made, name))
    env.bot.push()
    env.at(NOW)


def answer(env: MonitoredEndpoint, name: str, *, gate_failed: bool, at: str, number: int = 2) -> str:
    """What closes a request; the record's name."""
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
    env.bot.workspace.write({path: content}, f"Answer {name}")
    env.bot.push()
    return path.stem


def test_request_is_a_bot_commit_and_starts_the_training(env: MonitoredEndpoint) -> None:
    """Valid, open, with words that notify nobody; the branch is main, whatever the checkout is at."""
    (asked,) = ask(env)
    assert (asked.state, asked.request, asked.started) == ("requested", NAMES["data"], True)
    env.bot.pull()
    assert list(open_requests.open_requests(env.root)) == [asked.request]
    request = config.load_request(env.root, asked.request)
    assert request.window == config.Window(start=moment(3), end=moment(4, 21))
    assert request.evidence["data"]["days_before_onset"] == 0
    author, subject = env.bot.workspace.git("log", "-1", "--format=%an%n%s").splitlines()
    assert (author, subject) == (BOT.name, f"Ask for a new model: {asked.request}")
    assert [started[:2] for started in env.bot.started] == [("train.yml", "main")]


def test_push_of_an_app_starts_the_training_itself(env: MonitoredEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing is dispatched: it would run twice."""
    monkeypatch.setenv("FRAUDOPS_TOKEN_FIRES", "true")
    assert not ask(env)[0].started
    assert env.bot.started == []
    assert not ask(env)[0].started


def test_next_check_starts_a_training_that_was_not_started(env: MonitoredEndpoint) -> None:
    """The check died between its push and its dispatch; once GitHub knows of a run, it is left alone."""
    first = ask(env)[0]
    env.bot.started.clear()
    again = ask(env)[0]
    assert (again.state, again.started) == ("already requested", True)
    assert "no training had been started for it" in again.reason
    env.trained = [first.commit or ""]
    assert not ask(env)[0].started
    assert len(env.bot.started) == 1


@pytest.mark.parametrize("waiting", ["data", "concept"])
def test_open_request_of_an_equal_or_stronger_cause_suppresses(env: MonitoredEndpoint, waiting: str) -> None:
    """What concept drift asks for answers data drift too; the other way round it does not."""
    name = f"20260401T000000Z-{waiting}-drift"
    commit(env, name, at="2026-04-01T06:00:00Z")
    env.trained = [env.bot.tip("main")]
    (asked,) = ask(env)
    assert (asked.state, asked.request) == ("already requested", name)
    (stronger,) = ask(env, due("concept"))
    assert stronger.state == ("requested" if waiting == "data" else "already requested")


def test_one_training_resolves_all_due_causes(env: MonitoredEndpoint) -> None:
    """The strongest cause asks, the others are told that it does."""
    strongest, other = ask(env, due("concept"), due("data"))
    assert (strongest.state, other.state) == ("requested", "suppressed")
    assert strongest.request in other.reason
    assert env.requests() == [NAMES["concept"]]


def test_resolved_request_is_not_created_again(env: MonitoredEndpoint) -> None:
    """Not for that window; and not for that cause before the cooldown is over."""
    commit(env, NAMES["data"], at="2026-05-01T05:00:00Z")
    answer(env, NAMES["data"], gate_failed=True, at="2026-05-01T05:10:00Z")
    (asked,) = ask(env)
    assert asked.state == "already requested"
    assert "was resolved by model-config/gate-failures/" in asked.reason


@pytest.mark.parametrize(
    ("answered", "state"), [("2026-04-12T00:00:00Z", "suppressed"), ("2026-04-09T00:00:00Z", "requested")]
)
def test_cooldown_starts_at_the_resolution(env: MonitoredEndpoint, answered: str, state: str) -> None:
    """Three weeks for data drift, counted from the approval; another cause has a cooldown of its own."""
    commit(env, OLD, at="2026-04-01T06:00:00Z")
    answer(env, OLD, gate_failed=False, at=answered)
    (asked,) = ask(env)
    assert asked.state == state
    if state == "suppressed":
        assert "the cooldown for data-drift is 21 days" in asked.reason
        assert ask(env, due("concept"))[0].state == "requested"


def test_monthly_cap_suppresses_requests(env: MonitoredEndpoint) -> None:
    """Of all causes, by the month in which they came onto main."""
    for kind, at in (("data", "2026-05-01T01:00:00Z"), ("prediction", "2026-05-01T02:00:00Z")):
        name = f"20260401T000000Z-{kind}-drift"
        commit(env, name, at=at)
        answer(env, name, gate_failed=True, at="2026-03-01T00:00:00Z", number=1 + (kind == "data"))
    (asked,) = ask(env, due("concept"))
    assert asked.state == "suppressed"
    assert "2 requests were created this month" in asked.reason
    assert ask(env, due("concept"), max_requests_per_month=3)[0].state == "requested"


def test_circuit_breaker_opens_one_issue_and_closes_with_it(env: MonitoredEndpoint) -> None:
    """After two gate failures in a row there is an issue and no request; closed, what it names is forgiven."""
    gate_failed = []
    for number, month in enumerate((1, 2), start=1):
        name = f"20260{month + 1}01T000000Z-concept-drift"
        commit(env, name, at=f"2026-0{month + 1}-01T06:00:00Z")
        gate_failed.append(answer(env, name, gate_failed=True, at=f"2026-0{month + 1}-01T07:00:00Z", number=number))
    (asked,) = ask(env, due("concept"))
    assert (asked.state, env.bot.started) == ("circuit breaker open", [])
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert [label.name for label in issue.labels] == [labels.BREAKER.name]
    assert all(name in issue.body for name in gate_failed)
    assert "@alice" not in issue.body
    ask(env, due("concept"))
    assert (env.bot.api.get_issue(issue.number).comments, env.bot.api.get_issues().totalCount) == (0, 1)
    assert ask(env, due("data"))[0].state == "requested"  # another cause has a breaker of its own
    issue.edit(state="closed")
    assert ask(env, due("concept"))[0].state == "requested"


def test_circuit_breaker_opens_at_the_limit(env: MonitoredEndpoint) -> None:
    """The next check asks a person, although its window is the one that was answered; forgiven, that stays answered."""
    before = "20260401T000000Z-concept-drift"
    for number, (name, at) in enumerate(((before, "2026-04-01"), (NAMES["concept"], "2026-05-01")), start=1):
        commit(env, name, at=f"{at}T01:00:00Z")
        answer(env, name, gate_failed=True, at=f"{at}T02:00:00Z", number=number)
    (asked,) = ask(env, due("concept"))
    assert asked.state == "circuit breaker open"
    env.bot.api.get_issue(asked.issue or 0).edit(state="closed")
    assert ask(env, due("concept"))[0].state == "already requested"


def test_approval_closes_the_circuit_breaker(env: MonitoredEndpoint) -> None:
    """Misses before it are history; the issue is closed with a word."""
    for number, month in enumerate((2, 3), start=1):
        name = f"20260{month}01T000000Z-data-drift"
        commit(env, name, at=f"2026-0{month}-01T06:00:00Z")
        answer(env, name, gate_failed=True, at=f"2026-0{month}-01T07:00:00Z", number=number)
    (asked,) = ask(env)
    assert asked.state == "circuit breaker open"
    by_hand = "20260402T000000Z-data-drift"
    commit(env, by_hand, at="2026-04-02T06:00:00Z")
    answer(env, by_hand, gate_failed=False, at="2026-04-03T06:00:00Z", number=3)
    assert ask(env)[0].state == "requested"
    issue = env.bot.api.get_issue(asked.issue or 0)
    assert (issue.state, issue.get_comments()[0].body.count("approvals/0003.yaml")) == ("closed", 1)


def test_protected_main_gets_a_pull_request(env: MonitoredEndpoint) -> None:
    """One, also after a second check; its merge starts the training; closed, it is not opened again."""
    env.bot.api.get_branch("main").edit_protection(required_approving_review_count=1, enforce_admins=False)
    (asked,) = ask(env)
    assert (asked.state, asked.started, env.requests()) == ("proposed", False, [])
    assert [started[0] for started in env.bot.started] == ["ci.yml"]
    (again,) = ask(env)
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
    (waits,) = ask(env, later)
    assert (waits.state, waits.pull_request) == ("already requested", asked.pull_request)
    pull.edit(state="closed")
    (declined,) = ask(env)
    assert (declined.state, declined.pull_request) == ("suppressed", asked.pull_request)
    assert "a person closed" in declined.reason


def test_request_is_rebased_on_concurrent_pushes(env: MonitoredEndpoint) -> None:
    """The request goes on top of what they pushed."""
    asking = RetrainRequester(
        GitHub.from_environment(),
        Remote(env.bot.workspace.repository),
        bucket=BUCKET,
        settings=config.load_model(env.root),
        gate=config.load_gate(env.root),
        rules=config.load_drift(env.root),
    )
    env.bot.workspace.write({"README.md": "hello\n"}, "Say hello")
    env.bot.push()
    (asked,) = asking.create([due()])
    assert asked.state == "requested"
    assert env.bot.workspace.repository.is_ancestor("HEAD", asked.commit or "")
    assert env.requests() == [asked.request]


def choose(
    env: MonitoredEndpoint, onset: datetime, *, grows: bool, min_positives: int = 15
) -> training_window.TrainingWindow | training_window.NotEnoughLabels:
    """The stretch of data for drift since `onset`."""
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


def test_training_window_grows_until_enough_test_frauds(env: MonitoredEndpoint) -> None:
    """By as few days as it takes; for concept drift never past the onset, and then it waits."""
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
    assert "the gate asks for 60" in short.reason
    hopeless = choose(env, moment(4, 15), grows=True, min_positives=5_000)
    assert isinstance(hopeless, training_window.NotEnoughLabels)
    assert "from 2026-02-01 to 2026-04-21" in hopeless.reason


def test_no_request_without_mature_labels_or_transactions(env: MonitoredEndpoint) -> None:
    """Rows whose labels have not come cannot be learned from; both are said."""
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
    (asked,) = ask(env, due("concept", onset=moment(4, 25)))
    assert (asked.state, env.requests()) == ("suppressed", [])
