"""A change of the threshold is supported only if neither false alarms nor recall become worse beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model.metrics import rate
from ml.model.threshold_change import ThresholdChange, ThresholdFigures

FRAUD = np.linspace(0.05, 0.99, 20)
LEGITIMATE = np.linspace(0.0, 0.5, 2000)
SCORES, LABELS = np.r_[FRAUD, LEGITIMATE], np.r_[np.ones(20, int), np.zeros(2000, int)]


def change(before: float, after: float) -> ThresholdChange:
    """The change from one threshold to another on the rows above."""
    return ThresholdChange(
        champion=ThresholdFigures.of(before, SCORES, LABELS), new=ThresholdFigures.of(after, SCORES, LABELS)
    )


def test_figures_count_scores_at_or_above_the_threshold() -> None:
    """A score equal to the threshold is an alert, as in the scorer."""
    score = float(FRAUD[5])
    figures = ThresholdFigures.of(score, SCORES, LABELS)
    caught, alarms = 15, int(np.count_nonzero(score <= LEGITIMATE))
    assert figures.alerts == caught + alarms
    assert figures.recall == rate(caught, 20, "")
    assert figures.false_positive_rate == rate(alarms, 2000, "")


@pytest.mark.parametrize(
    ("after", "failed"),
    [(0.40, []), (0.401, []), (0.399, []), (0.30, ["threshold_false_positive_rate"]), (0.95, ["threshold_recall"])],
)
def test_only_changes_within_the_champions_interval_pass(after: float, failed: list[str]) -> None:
    """From .40: small changes pass; many more alarms and a lower recall fail, each by its own check."""
    checks = change(0.40, after).checks()
    assert [check.name for check in checks] == ["threshold_false_positive_rate", "threshold_recall"]
    assert [check.name for check in checks if not check.passed] == failed
    assert all(check.detail.startswith("Threshold gate failed: ") for check in checks if not check.passed)


def test_limits_are_the_bounds_of_wilsons_interval() -> None:
    """The false-positive rate may reach the upper bound of the champion's, the recall its lower bound."""
    before = change(0.40, 0.40).champion
    alarms, recall = change(0.40, 0.40).checks()
    assert (alarms.limit, recall.limit) == (before.false_positive_rate.high, before.recall.low)
    assert "20 % against 20 % at the champion's threshold" in alarms.detail


def test_rows_without_frauds_support_no_change() -> None:
    """Without frauds the recall is not known, and the check fails with that reason."""
    figures = ThresholdFigures.of(0.4, LEGITIMATE, np.zeros(2000, int))
    recall = ThresholdChange(champion=figures, new=figures).checks()[1]
    assert (recall.passed, recall.observed) == (False, None)
    assert recall.detail == (
        "The change of the threshold cannot be checked: its recall is not known, no frauds among the rows."
    )
