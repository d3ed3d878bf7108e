"""The timers of a training run's stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmarks.performance import reasons, train_ours, train_stages


def test_stages_within_a_stage_are_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each second belongs to one stage; the clock of this test ticks a second with each look."""
    clock = iter(range(100))
    monkeypatch.setattr("tests.benchmarks.performance.train_stages.time.perf_counter", lambda: float(next(clock)))
    timers = train_stages.Timers()
    with timers.stage("outer"):
        with timers.stage("inner"):
            pass
        with timers.stage("inner"):
            pass
    assert timers.seconds == {"outer": 3.0, "inner": 2.0}
    assert timers.calls == {"outer": 1, "inner": 2}


def test_waiting_is_divided_as_the_time_of_the_threads() -> None:
    """What threads read counts as reading; the sum is the time of the caller, and the results are in order."""
    timers = train_stages.Timers()
    read = timers.timed("read", lambda number: sum(range(200_000 + number)))
    with timers.stage("other"):
        found = timers.divided("score")(lambda number: read(number) and number, [3, 1, 2])
    assert found == [3, 1, 2]
    assert timers.seconds["read"] > timers.seconds["score"] >= 0


def test_timed_run_gives_the_same_model_and_every_stage(tmp_path: Path) -> None:
    """The timers change no bit, and are gone afterwards."""
    train_ours.draw(tmp_path, 1, 80_000)  # enough for a start from a sample
    training = train_ours.settings(1.0)
    made, _ = train_ours.trained(tmp_path, training)
    timers = train_stages.Timers()
    with train_stages.timing(timers):
        timed, _ = train_ours.trained(tmp_path, training)
    assert json.dumps(timed.document(training)) == json.dumps(made.document(training))
    assert {stage for stage, seconds in timers.seconds.items() if seconds > 0} == set(reasons.TRAINING.stages)
    seen = dict(timers.seconds)
    train_ours.trained(tmp_path, training)
    assert timers.seconds == seen


def test_profile_has_what_the_page_needs(tmp_path: Path) -> None:
    """Stages, floors and passes; every limit can be computed."""
    train_ours.draw(tmp_path, 1, 20_000)
    took = train_stages.stages(tmp_path, 0.02) | train_stages.floors(tmp_path)
    assert set(reasons.TRAINING.stages) < set(took)
    assert took["passes"] >= 2
    assert all(limit(took) > 0 for limit in reasons.TRAINING.limits.values())
