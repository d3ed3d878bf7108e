"""Each check that prevents a retrain request."""

from __future__ import annotations

import math

import pytest

from ml import config
from ml.drift.window_choice import TrainingWindow
from ml.model.run_kinds import RunKind
from tests.drift.retrain_cases import NAMES, chooser, commit_request, create_requests, due, resolve
from tests.harness.platform.monitored import MonitoredEndpoint

OLD = "20260401T000000Z-data-drift"


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


@pytest.mark.parametrize(("kind", "state"), [("adapt", "requested"), ("drop", "suppressed")])
def test_part_may_be_dropped_within_the_cooldown_of_its_adaptation(
    env: MonitoredEndpoint, kind: RunKind, state: str
) -> None:
    """An adaptation does not show whether its frauds go on; a failed drop does."""
    name = "20260401T000000Z-concept-drift"
    commit_request(env, name, at="2026-04-20T06:00:00Z")
    resolve(env, name, gate_failed=True, at="2026-04-25T06:00:00Z", kind=kind)
    (asked,) = create_requests(env, due("concept", run_kind="drop"))
    assert asked.state == state, asked.reason


@pytest.mark.parametrize(("kind", "state"), [("threshold", "suppressed"), ("fit", "requested")])
def test_failed_run_starts_the_cooldown_of_each_cause_that_asks_for_it(
    env: MonitoredEndpoint, kind: RunKind, state: str
) -> None:
    """Prediction drift asks for the new threshold that data drift has just asked for in vain."""
    commit_request(env, OLD, at="2026-04-25T06:00:00Z", kind=kind)
    resolve(env, OLD, gate_failed=True, at="2026-04-25T07:00:00Z", kind=kind)
    (asked,) = create_requests(env, due("prediction", run_kind="threshold"))
    assert asked.state == state
    if state == "suppressed":
        assert asked.reason.startswith(f"{OLD} was resolved by model-config/gate-failures/")
        assert asked.reason.endswith("the cooldown of prediction-drift is 21 days")


CONCEPT = "20260425T000000Z-concept-drift"


@pytest.mark.parametrize("more", [0, 1])
def test_failed_adaptation_is_retried_with_half_more_frauds(env: MonitoredEndpoint, more: int) -> None:
    """Within the cooldown it is as soon as the window holds 1.5 times the frauds, and not one fraud before."""
    chosen = chooser(env, config.load_drift(env.root))(due("concept"))
    assert isinstance(chosen, TrainingWindow)
    had = int(chosen.frauds / 1.5) + more
    commit_request(env, CONCEPT, at="2026-04-25T06:00:00Z", kind="adapt", frauds=had)
    resolve(env, CONCEPT, gate_failed=True, at="2026-04-25T07:00:00Z", kind="adapt")
    (asked,) = create_requests(env, due("concept"))
    assert asked.state == ("suppressed" if more else "requested")
    if more:
        words = "labelled frauds, 1.5 times as many, and there are"
        assert f"another run of kind adapt needs {math.ceil(1.5 * had):,} {words} {chosen.frauds:,}" in asked.reason


@pytest.mark.parametrize(
    ("kind", "frauds", "gate_failed"),
    [("adapt", None, True), ("fit", 1, True), ("adapt", 1, False)],
    ids=["no count", "another kind of run", "approved"],
)
def test_only_a_failed_adaptation_with_a_count_is_retried(
    env: MonitoredEndpoint, kind: RunKind, frauds: int | None, gate_failed: bool
) -> None:
    """Everything else waits for the cooldown."""
    commit_request(env, CONCEPT, at="2026-04-25T06:00:00Z", kind=kind, frauds=frauds)
    resolve(env, CONCEPT, gate_failed=gate_failed, at="2026-04-25T07:00:00Z", kind=kind)
    (asked,) = create_requests(env, due("concept"))
    assert (asked.state, asked.reason.endswith("; the cooldown of concept-drift is 14 days")) == ("suppressed", True)


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
