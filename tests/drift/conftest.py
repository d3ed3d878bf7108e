"""A monitored endpoint with three months of labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from tests.drift.retrain_cases import NOW
from tests.harness.aws import moto_server
from tests.harness.platform import monitored
from tests.harness.platform.monitored import MonitoredEndpoint


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
