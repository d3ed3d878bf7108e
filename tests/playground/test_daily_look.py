"""The daily look of a simulated year: it says that the check has something to do on every day on which it has."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from local_github.server import LocalGitHub

from ml import clock
from ml.aws.drift_check_store import Checks
from ml.commands.drift_check import check
from ml.playground.daily_look import DailyLook, Look
from ml.site import suppressed_requests
from tests.drift.retrain_cases import commit_request, resolve
from tests.harness.aws import moto_server
from tests.harness.platform import monitored
from tests.harness.platform.monitored import MonitoredEndpoint
from tests.harness.platform.served import ENDPOINT

FEBRUARY = f"monitoring/{ENDPOINT}/checks/20260201T000000Z_20260301T000000Z.json"


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MonitoredEndpoint]:
    """A champion that has served since the end of January, and a GitHub emulator."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    with LocalGitHub(tmp_path / "github") as github:
        yield from monitored.watched(github, tmp_path, monkeypatch)


def look(env: MonitoredEndpoint, daily: DailyLook, day: datetime) -> Look:
    """The look at the time of drift.yml's cron line."""
    moment = day + timedelta(hours=5, minutes=17)
    env.at(clock.stamp(moment))
    return daily.look(moment)


def test_window_that_has_ended_needs_the_workflow_once(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """On the first of March February has ended; after the check nothing is due."""
    env.month(2, known_after=20)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    assert (
        look(env, daily, datetime(2026, 3, 1, tzinfo=UTC)).reason == "the window of 2026-02-01 to 2026-03-01 has ended"
    )
    check(env.root)
    daily.forget()
    assert look(env, daily, datetime(2026, 3, 2, tzinfo=UTC)).reason is None
    assert "daily concept test of 29 days" in (tmp_path / "looks/looks.log").read_text()


def test_window_is_judged_in_process_once_its_labels_are_mature(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """Labels are known after ten days: no verdict on them before 90 % of the rows have mature labels, and one then."""
    env.month(2, known_after=10)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    evaluated = []
    for day in range(2, 12):
        assert look(env, daily, datetime(2026, 3, day, tzinfo=UTC)).reason is None
        evaluated.append("concept" in env.read(FEBRUARY)["verdict"]["evaluated"])
    first = evaluated.index(True) + 2
    assert first == 9  # 26 of 28 days are mature; on the day before 25, 89 %
    assert evaluated == [False] * (first - 2) + [True] * (12 - first)


def test_no_request_is_possible_on_a_day_without_a_reason(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """The check runs on every day beside the look: it requests a model on the one day that the look names."""
    env.month(2, known_after=3)
    env.month(3, flip=0.5, known_after=3)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    looks, requested = {}, []
    for day in range(2, 10):
        looks[day] = look(env, daily, datetime(2026, 3, day, tzinfo=UTC))
        outcomes = check(env.root).requests
        if any(outcome.state == "requested" for outcome in outcomes):
            requested.append(day)
        env.bot.workspace.git("pull", "--quiet", "--ff-only", "origin", "main")
        daily.forget()
    assert requested == [day for day, found in looks.items() if found.reason == "concept drift is due"] == [8]
    assert {found.reason for found in looks.values()} == {None, "concept drift is due"}
    assert [day for day, found in looks.items() if found.concept] == [5, 6, 7, 8, 9]
    assert not any(found.ended for found in looks.values())


def test_end_of_a_new_pattern_is_no_alarm_of_new_frauds(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """It is due, and marked as an end."""
    env.at("2026-01-31T13:00:00Z")
    env.approve(2, adapted=True)
    env.month(2, known_after=3, version="0002", scorer=monitored.ADAPTED_SCORER)
    env.at("2026-02-25T05:17:00Z")
    check(env.root, report_only=True)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    found = look(env, daily, datetime(2026, 2, 26, tzinfo=UTC))
    assert (found.reason, found.concept, found.ended) == ("concept drift is due", True, True)


def test_drift_that_is_held_back_is_recorded_on_its_first_day(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """As the check of each day does in an account: the site takes the day of the alarm from it."""
    env.month(2, known_after=3)
    env.month(3, flip=0.5, known_after=3)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    found = {day: look(env, daily, datetime(2026, 3, day, tzinfo=UTC)) for day in range(2, 8)}
    stored = suppressed_requests.read(Checks(env.bucket, ENDPOINT))
    first = min(day for day, each in found.items() if each.concept)
    assert [(each.cause, each.first.day, each.latest.day) for each in stored] == [("concept-drift", first, 7)]
    assert [each.raised_by for each in stored] == ["alarm"]


def test_drift_that_an_open_circuit_breaker_holds_back_is_recorded(env: MonitoredEndpoint, tmp_path: Path) -> None:
    """The workflow runs once to open its issue. On later days the look records what a check would."""
    earlier = "20260210T000000Z-concept-drift"
    commit_request(env, earlier, at="2026-02-10T06:00:00Z", kind="adapt")
    resolve(env, earlier, gate_failed=True, at="2026-02-11T06:00:00Z", kind="adapt", budget=True)
    env.month(2, known_after=3)
    env.month(3, flip=0.5, known_after=3)
    env.at("2026-03-01T05:17:00Z")
    check(env.root)
    daily = DailyLook(env.root, tmp_path / "looks", import_pending=lambda: None)
    reasons = [look(env, daily, datetime(2026, 3, day, tzinfo=UTC)).reason for day in range(2, 8)]
    assert [reason for reason in reasons if reason] == ["concept drift is due, after 1 gate failure in a row"]
    (stored,) = suppressed_requests.read(Checks(env.bucket, ENDPOINT))
    assert (stored.cause, stored.latest.day) == ("concept-drift", 7)
    assert stored.reason == "the circuit breaker is open: 1 model failed the gate"
