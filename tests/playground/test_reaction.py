"""How fast a simulated year reacted: the first alarm after the onset, and the first model that finds the new frauds."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ml.model.scorer import Scorer
from ml.playground import reaction
from ml.playground.daily_look import Look
from ml.report.year_data import Deployment
from ml.simulate import scenario
from ml.simulate.year_traffic import Year

YEAR = Year(scenario.load("concept-only"), seed=101, rows=2_000)


def look(month: int, day: int, *, concept: bool = True, ended: bool = False) -> Look:
    """The look of a day of 2026."""
    moment = datetime(2026, month, day, 5, 17, tzinfo=UTC)
    return Look(moment=moment, reason=None, concept=concept, ended=ended)


def deployment(approval: int, month: int, day: int) -> Deployment:
    """A roll-out on a day of 2026."""
    return Deployment(
        approval=approval,
        start=datetime(2026, month, day, 6, tzinfo=UTC),
        end=None,
        approver="a script",
        commit=40 * "0",
        trained_on="",
        artifact_sha256=64 * "0",
    )


def model(approval: int) -> Scorer:
    """Approval 1 alerts on nothing, every other on all rows."""
    part: dict[str, Any] = {"pattern": "known", "features": [], "bins": [], "recalibration": None}
    document = {
        "schema": 3,
        "inputs": ["Amount"],
        "time": None,
        "amount": "Amount",
        "parts": [part | {"intercept": -5.0 if approval == 1 else 5.0}],
        "history": {"slope": 1.0, "intercept": 0.0},
        "threshold": {"policy": "fixed", "value": 0.5, "score": 0.5},
        "provenance": None,
    }
    return Scorer.from_json(json.dumps(document))


def test_days_count_from_the_onset() -> None:
    """Alarms before the onset, ends of a pattern and models that find nothing do not count."""
    looks = [look(5, 3), look(7, 2, concept=False), look(7, 3, ended=True), look(7, 8), look(7, 9)]
    rolled_out = [deployment(2, 6, 1), deployment(1, 7, 10), deployment(3, 7, 16), deployment(4, 7, 20)]
    found = reaction.between(YEAR, looks, rolled_out, months=9, model=model)
    assert (found.onset, found.alarm, found.recovery) == (date(2026, 7, 1), date(2026, 7, 8), date(2026, 7, 16))
    assert (found.days_to_alarm, found.days_to_recovery) == (7, 15)


@pytest.mark.parametrize(("months", "recovery"), [(8, date(2026, 8, 1)), (7, None)])
def test_recovery_needs_thirty_days_of_the_year(months: int, recovery: date | None) -> None:
    """Of 31 days of August thirty are after the roll-out; without August nothing is known."""
    found = reaction.between(YEAR, [], [deployment(2, 8, 1)], months=months, model=model)
    assert (found.alarm, found.recovery) == (None, recovery)
    assert found.days_to_alarm is None


def test_year_without_concept_drift_has_no_reaction() -> None:
    """Neither a scenario without it nor the months before it."""
    quiet = Year(scenario.load("none"), seed=101, rows=2_000)
    for year, months in ((quiet, 12), (YEAR, 6)):
        found = reaction.between(year, [look(5, 3)], [deployment(2, 6, 1)], months=months, model=model)
        assert (found.onset, found.alarm, found.recovery) == (None, None, None)
