"""`fraudops labels status` on a platform with transactions, captured traffic and labels."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml.commands import drift_check
from ml.commands.labels_status import status
from tests.harness.aws import moto_server
from tests.harness.platform import monitored
from tests.harness.platform.monitored import MonitoredEndpoint


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitoredEndpoint]:
    """A champion that has served since the end of January."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        yield from monitored.watched(github, tmp_path, monkeypatch)


def test_status_counts_scored_rows_after_a_drift_check(env: MonitoredEndpoint) -> None:
    """Labels are known ten days after their transactions, so the latest ten days have none; limits are drift.yaml's."""
    env.month(2)
    env.at("2026-03-01T05:17:00Z")
    before = status(env.root, days=28)
    assert {each.source for each in before.days} == {"transactions"}
    drift_check.check(env.root, report_only=True)
    report = status(env.root, days=28)
    assert (report.min_coverage, report.min_age_days, report.endpoint) == (0.98, 7, "fraudops-production")
    assert [each.day for each in report.days] == [date(2026, 2, day) for day in range(2, 29)]
    assert {(each.source, each.rows) for each in report.days} == {("scored rows", 80)}
    labelled = [each for each in report.days if each.chargeback.share == 1]
    assert [each.day.day for each in labelled] == [*range(2, 19)]
    assert {each.chargeback.median_days for each in labelled} == {10}
    assert {each.chargeback.labelled for each in report.days[17:]} == {0}
    assert [each.mature for each in report.days] == [each.day.day < 19 for each in report.days]
    assert report.mature == 17
    assert [each.frauds for each in report.days] == [each.frauds for each in before.days]
    assert sum(each.frauds for each in report.days) > 20
