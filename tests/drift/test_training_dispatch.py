"""A training is started once per request: by the push of an App, or by a dispatch."""

from __future__ import annotations

import pytest

from tests.drift.retrain_cases import create_requests
from tests.harness.platform.monitored import MonitoredEndpoint


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
