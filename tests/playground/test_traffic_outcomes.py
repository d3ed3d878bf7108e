"""What each way of deciding finds in a year's traffic, and the comparison at equal false alarms."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from ml.playground.traffic_outcomes import ScoredRows, TrafficOutcomes
from ml.report.year_data import Reaction, SideCounts

DAYS = (date(2026, 3, 7), date(2026, 3, 8))

TRUTH = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
RELABELLED = np.array([0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
AMOUNTS = np.array([10.0, 900.0, 800.0, 850.0, 700.0, 5.0, 6.0, 7.0])
SCORES = np.array([0.9, 0.1, 0.2, 0.3, 0.8, 0.0, 0.0, 0.0])


def outcomes(served: list[int]) -> TrafficOutcomes:
    """Eight rows in two parts; the first model alerts from .5 on and the rule on amounts from 800 on."""
    rows = TrafficOutcomes(threshold=0.5, rule_amount=800.0)
    for day, part in ((DAYS[0], slice(0, 4)), (DAYS[1], slice(4, 8))):
        rows.add(
            3,
            day,
            ScoredRows(
                truth=TRUTH[part],
                first_kind=(TRUTH & ~RELABELLED)[part],
                amounts=AMOUNTS[part],
                served=np.array(served, dtype=bool)[part],
                scores=SCORES[part],
            ),
        )
    return rows


def test_each_side_is_counted_on_all_rows() -> None:
    """The served decisions, the first model, and the first model or an amount from the rule's on."""
    found = outcomes([1, 1, 0, 0, 1, 0, 0, 0]).counts(3)
    figures = {
        side: (
            counts.confusion.true_positives,
            counts.confusion.false_positives,
            counts.first_kind_detected,
            counts.value_detected,
        )
        for side, counts in found.items()
    }
    assert figures == {
        "with_retraining": (2, 1, 1, 910.0),
        "without_retraining": (1, 1, 1, 10.0),
        "rule": (3, 2, 1, 1710.0),
    }
    assert {(counts.first_kind, counts.fraud_value) for counts in found.values()} == {(1, 1710.0)}


def test_limits_are_set_anew_for_equal_false_alarms() -> None:
    """With one false alarm the model finds one fraud of three; beside the rule, whose alarm that is, all three."""
    found = outcomes([1, 1, 0, 0, 1, 0, 0, 0]).at_equal_false_alarms([3])
    assert {side: figures.false_alarms for side, figures in found.items()} == {
        "with_retraining": 1,
        "without_retraining": 1,
        "rule": 1,
    }
    assert {side: figures.recall for side, figures in found.items()} == {
        "with_retraining": pytest.approx(2 / 3),
        "without_retraining": pytest.approx(1 / 3),
        "rule": pytest.approx(1),
    }


def test_side_that_has_more_false_alarms_at_every_limit_is_left_out() -> None:
    """The rule's amount stays, and with it a false alarm."""
    found = outcomes([1, 0, 0, 0, 0, 0, 0, 0]).at_equal_false_alarms([3])
    assert set(found) == {"with_retraining", "without_retraining"}


def _figures(counts: SideCounts) -> tuple[int, int, float]:
    return counts.confusion.true_positives, counts.confusion.false_positives, counts.value_detected


@pytest.mark.parametrize(
    ("days_after_alarm", "recovery", "figures"),
    [
        (1, DAYS[1], (3, 2, 1710.0)),
        (1, None, (3, 2, 1710.0)),
        (1, DAYS[0], (3, 2, 1710.0)),
        (0, None, (1, 1, 10.0)),
        (2, DAYS[0] - timedelta(days=1), (1, 1, 10.0)),
    ],
)
def test_rule_alerts_beside_the_served_models_until_recovery(
    days_after_alarm: int, recovery: date | None, figures: tuple[int, int, float]
) -> None:
    """From the day after the alarm to the day of the recovery; the first of the two days has the high amounts."""
    alarm = DAYS[0] - timedelta(days=days_after_alarm)
    reaction = Reaction(onset=date(2026, 3, 1), alarm=alarm, recovery=recovery)
    (found,) = outcomes([1, 0, 0, 0, 1, 0, 0, 0]).rule_until_recovery([3], reaction)
    assert _figures(found) == figures


def test_without_an_alarm_there_is_no_rule_until_recovery() -> None:
    """Nobody knows of the new frauds."""
    none = Reaction(onset=date(2026, 3, 1), alarm=None, recovery=None)
    assert outcomes([1, 0, 0, 0, 1, 0, 0, 0]).rule_until_recovery([3], none) == ()
