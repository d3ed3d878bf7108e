"""A part is dropped only if false alarms are fewer beyond chance and recall stays within the champion's interval."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import champion_comparison, dropped_part_checks, metrics
from ml.model.champion_comparison import Comparison
from tests.model.training_samples import SETTINGS

LEGITIMATE = 3000


def compared(
    *, frauds: int = 20, found: tuple[int, int] = (19, 19), false_alarms: tuple[int, int] = (20, 40)
) -> Comparison:
    """A comparison in which the challenger and the champion find so many frauds and raise so many false alarms."""
    labels = np.r_[np.ones(frauds, int), np.zeros(LEGITIMATE, int)]
    decisions = [
        np.r_[np.arange(frauds) < hits, np.arange(LEGITIMATE) < alarms].astype(int)
        for hits, alarms in zip(found, false_alarms, strict=True)
    ]
    challenger, champion = ((each + 0.0, each) for each in decisions)
    return champion_comparison.compare(
        labels, challenger=challenger, champion=champion, rule=SETTINGS.gate.challenger, seed=1, artifact_sha256="a"
    )


@pytest.mark.parametrize(
    ("comparison", "failed"),
    [
        (compared(), []),
        (compared(false_alarms=(38, 40)), ["drop_false_positive_rate"]),
        (compared(false_alarms=(60, 40)), ["drop_false_positive_rate"]),
        (compared(found=(16, 19)), []),
        (compared(found=(10, 19)), ["drop_recall"]),
    ],
)
def test_both_must_hold(comparison: Comparison, failed: list[str]) -> None:
    """A few alarms fewer are chance; so are a few frauds of twenty, but not half of them."""
    checks = dropped_part_checks.checks(comparison)
    assert [check.name for check in checks] == ["drop_false_positive_rate", "drop_recall"]
    assert [check.name for check in checks if not check.passed] == failed
    assert all(check.detail.startswith("Drop gate failed: ") is not check.passed for check in checks)


def test_limits_are_bounds_of_intervals() -> None:
    """The false alarms' bound is that of the paired difference; recall may reach the lower end of the champion's."""
    comparison = compared()
    rate, recall = dropped_part_checks.checks(comparison)
    assert comparison.false_positive_rate is not None
    assert (rate.bound, rate.limit) == (comparison.false_positive_rate.high, 0.0)
    assert recall.limit == metrics.rate(19, 20, "").low
    assert "95 % against 95 %, whose interval begins at 76.4 %, of 20 frauds." in recall.detail
    assert "0.667 % against 1.33 % (interval of the difference " in rate.detail


def test_uncompared_model_fails() -> None:
    """With too few common frauds there is no comparison, and nothing shows that the part costs more than it finds."""
    few = compared(frauds=3, found=(3, 3))
    (check,) = dropped_part_checks.checks(few)
    assert (check.passed, check.observed) == (False, None)
    assert check.detail == f"Drop gate failed: the champion's part can be dropped only by comparison. {few.reason}"
