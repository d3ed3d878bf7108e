"""Each check that prevents a retrain request."""

from __future__ import annotations

import pytest

from tests.drift.retrain_cases import NAMES, commit_request, create_requests, due, resolve
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
