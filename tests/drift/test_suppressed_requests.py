"""Why drift that was due asked for no retrain: what Git's limits and labels say, recorded once."""

from __future__ import annotations

from typing import Any

from ml import config
from ml.aws.drift_check_store import Checks
from ml.drift import suppressed_requests
from ml.drift.drift_case import DriftCase
from ml.drift.request_limits import RequestLimits
from ml.drift.request_log import RequestLog
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from tests.drift.retrain_cases import NAMES, commit_request, create_requests, due, moment, resolve
from tests.harness.platform.monitored import BUCKET, MonitoredEndpoint
from tests.harness.platform.served import ENDPOINT

OLD = "20260401T000000Z-data-drift"
WINDOW = TrainingWindow(start=moment(3), end=moment(5), rows=900, frauds=90, test_frauds=30, grown_days=0)


def held_back(env: MonitoredEndpoint, case: DriftCase, window: Any = WINDOW) -> list[str]:
    """The reasons that Git and the labels give."""
    log = RequestLog(env.bot.workspace.repository, "HEAD")
    limits = RequestLimits(log, config.load_drift(env.root))
    return [each.reason for each in suppressed_requests.by_limits([(case, window)], log, limits)]


def test_limits_hold_a_request_back(env: MonitoredEndpoint) -> None:
    """As in the job that creates requests: the cooldown, and too few labels."""
    assert held_back(env, due()) == []
    assert held_back(env, due(), NotEnoughLabels(reason="too few frauds")) == ["too few frauds"]
    commit_request(env, OLD, at="2026-04-01T06:00:00Z")
    assert held_back(env, due()) == []  # it is open: the same training covers it
    resolve(env, OLD, gate_failed=False, at="2026-04-12T00:00:00Z")
    (reason,) = held_back(env, due())
    assert [reason] == [each.reason for each in create_requests(env)]
    assert reason.endswith("the cooldown of data-drift is 21 days")


def test_request_that_exists_is_not_held_back(env: MonitoredEndpoint) -> None:
    """Its outcome is in Git."""
    commit_request(env, NAMES["data"], at="2026-05-01T05:00:00Z")
    resolve(env, NAMES["data"], gate_failed=True, at="2026-05-01T05:10:00Z")
    assert held_back(env, due()) == []


def test_circuit_breaker_holds_a_request_back(env: MonitoredEndpoint) -> None:
    """After models that failed the gate."""
    for month in (1, 2, 3):
        name = f"20260{month}01T000000Z-data-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-02T06:00:00Z")
    (reason,) = held_back(env, due())
    assert reason == "the circuit breaker is open: 3 models failed the gate"


def test_request_that_opened_the_circuit_breaker_is_held_back_by_it(env: MonitoredEndpoint) -> None:
    """While it is open, Git has its outcome, and afterwards its drift goes on without a retrain."""
    for month in (2, 3):
        name = f"20260{month}01T000000Z-data-drift"
        commit_request(env, name, at=f"2026-0{month}-01T06:00:00Z")
        resolve(env, name, gate_failed=True, at=f"2026-0{month}-02T06:00:00Z")
    commit_request(env, NAMES["data"], at="2026-05-01T05:00:00Z")
    assert held_back(env, due()) == []
    resolve(env, NAMES["data"], gate_failed=True, at="2026-05-01T05:10:00Z")
    (reason,) = held_back(env, due())
    assert reason == "the circuit breaker is open: 3 models failed the gate"
    (created,) = create_requests(env)
    assert (created.request, created.state) == (NAMES["data"], "circuit breaker open")


def test_request_that_an_approval_answered_is_not_held_back(env: MonitoredEndpoint) -> None:
    """Not by a later failure either that opens the circuit breaker for its cause: its model was approved."""
    commit_request(env, NAMES["data"], at="2026-05-01T05:00:00Z")
    resolve(env, NAMES["data"], gate_failed=False, at="2026-05-01T05:10:00Z")
    later = "20260501T000000Z-concept-drift"
    commit_request(env, later, at="2026-05-01T05:11:00Z", kind="adapt")
    resolve(env, later, gate_failed=True, at="2026-05-01T05:15:00Z", number=3, kind="adapt", budget=True)
    assert held_back(env, due()) == []
    assert [each.state for each in create_requests(env)] == ["already requested"]


def test_one_failure_that_opens_the_circuit_breaker_is_one_model(env: MonitoredEndpoint) -> None:
    """A budget that is too small for any model opens it at once."""
    earlier = "20260401T000000Z-concept-drift"
    commit_request(env, earlier, at="2026-04-01T06:00:00Z", kind="adapt")
    resolve(env, earlier, gate_failed=True, at="2026-04-02T06:00:00Z", kind="adapt", budget=True)
    assert held_back(env, due()) == ["the circuit breaker is open: 1 model failed the gate"]


def test_suppressed_request_is_recorded_with_its_first_time(env: MonitoredEndpoint) -> None:
    """The next day's check finds the same; a request that was created is not recorded."""
    commit_request(env, OLD, at="2026-04-01T06:00:00Z")
    resolve(env, OLD, gate_failed=False, at="2026-04-12T00:00:00Z")
    checks = Checks(BUCKET, ENDPOINT)
    outcomes = create_requests(env)
    for day in (1, 2):
        env.at(f"2026-05-0{day}T05:17:00Z")
        suppressed_requests.record(checks, outcomes, cases=[due()], approval=1)
    (found,) = checks.suppressed()
    assert (found.request, found.cause, found.raised_by, found.approval) == (NAMES["data"], "data-drift", "windows", 1)
    assert (found.first.day, found.latest.day) == (1, 2)
    assert found.reason == outcomes[0].reason
    concept = due("concept")
    suppressed_requests.record(checks, create_requests(env, concept), cases=[concept], approval=1)
    assert checks.suppressed() == [found]
