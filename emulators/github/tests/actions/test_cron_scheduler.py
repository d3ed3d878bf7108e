"""Schedules that start by themselves, on a clock that the tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from actions_emulator import ActionsEmulator, one_job
from local_github.actions.cron_scheduler import Scheduler

START = datetime(2026, 3, 1, 4, 15, 30, tzinfo=UTC)


class ManualClock:
    """A clock that the test moves, and a wait that returns at each move."""

    def __init__(self) -> None:
        self.moment = START
        self.waits: list[float] = []
        self._waiting, self._moved = threading.Semaphore(0), threading.Semaphore(0)
        self._stopped = False

    def __call__(self) -> datetime:
        return self.moment

    def wait(self, seconds: float) -> bool:
        """Blocks until the clock is moved; returns whether to stop."""
        self.waits.append(seconds)
        self._waiting.release()
        self._moved.acquire()
        return self._stopped

    def move(self, moment: datetime) -> None:
        """Sets the time and returns when the scheduler waits again."""
        self._waiting.acquire()
        self.moment = moment
        self._moved.release()
        self._waiting.acquire()
        self._waiting.release()

    def stop(self) -> None:
        """Ends the next wait with the request to stop."""
        self._stopped = True
        self._moved.release()


@pytest.fixture
def clock() -> ManualClock:
    """A clock at 04:15:30."""
    return ManualClock()


@pytest.fixture
def scheduled(make_emulator: Callable[..., ActionsEmulator], clock: ManualClock) -> Iterator[ActionsEmulator]:
    """An emulator with a workflow at minutes 17 and 20 of every hour, and a running scheduler."""
    emulator = make_emulator(clock=clock)
    emulator.workflow(one_job("true", on="{schedule: [{cron: '17,20 * * * *'}]}"))
    scheduler = Scheduler(emulator.actions.fire_due_schedules, clock, wait=clock.wait)
    scheduler.start()
    yield emulator
    clock.stop()
    scheduler.stop()


def test_scheduler_starts_one_run_per_due_minute(scheduled: ActionsEmulator, clock: ManualClock) -> None:
    """Nothing starts before the minute; the same minute starts nothing again."""
    counts = []
    for minute, second in ((16, 0), (17, 0), (17, 40), (18, 0), (20, 5)):
        clock.move(START.replace(minute=minute, second=second))
        counts.append(len(scheduled.actions.runs()))
    assert counts == [0, 1, 1, 1, 2]
    assert {run.event for run in scheduled.finished_runs()} == {"schedule"}


def test_scheduler_covers_skipped_minutes_after_a_jump(scheduled: ActionsEmulator, clock: ManualClock) -> None:
    """A jump of two hours starts one run for each due minute; a clock that is set back starts none."""
    clock.move(START + timedelta(hours=2))
    assert len(scheduled.actions.runs()) == 4
    clock.move(START)
    clock.move(START + timedelta(minutes=5))
    assert len(scheduled.actions.runs()) == 4
    clock.move(START + timedelta(hours=2, minutes=2))
    assert len(scheduled.actions.runs()) == 5


def test_scheduler_waits_for_the_next_minute(scheduled: ActionsEmulator, clock: ManualClock) -> None:
    """It sleeps for the rest of the minute, so there is no busy loop."""
    clock.move(START.replace(minute=16, second=15))
    assert clock.waits == [30.0, 45.0]


def test_invalid_cron_does_not_stop_other_schedules(scheduled: ActionsEmulator, clock: ManualClock) -> None:
    """The invalid expression is skipped."""
    scheduled.workflow(one_job("true", on="{schedule: [{cron: '@daily'}]}"), name="invalid.yml")
    clock.move(START.replace(minute=17))
    assert [run.file for run in scheduled.actions.runs()] == [".github/workflows/x.yml"]
