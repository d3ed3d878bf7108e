"""Compares a new threshold with the champion's on the same scores, and checks that the test rows support the change.

For runs of kind `threshold`, whose model has the champion's coefficients. Alerts at the higher of two thresholds are
alerts at the lower one too, so a change only adds alerts or only removes some. It is supported if neither more false
alarms nor a lower recall leave the interval of the figure that the champion's threshold has on these rows.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml.model import metrics
from ml.model.gate_check import Check
from ml.model.metrics import Confusion, Estimate


@dataclass(frozen=True, kw_only=True)
class ThresholdFigures:
    """What one threshold gives on the test rows; rates have Wilson's interval."""

    score: float
    alerts: int
    recall: Estimate
    false_positive_rate: Estimate

    @classmethod
    def of(cls, score: float, scores: ArrayLike, labels: ArrayLike) -> ThresholdFigures:
        """The figures of the threshold `score` on rows with `scores` and `labels` (1 = fraud)."""
        counts = Confusion.of(labels, np.asarray(scores) >= score)
        return cls(
            score=score,
            alerts=counts.alerts,
            recall=metrics.rate(counts.true_positives, counts.positives, "no frauds among the rows"),
            false_positive_rate=metrics.rate(counts.false_positives, counts.negatives, "no legitimate rows"),
        )


@dataclass(frozen=True, kw_only=True)
class ThresholdChange:
    """The champion's threshold and the new one, on the same test rows."""

    champion: ThresholdFigures
    new: ThresholdFigures

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return asdict(self)

    def checks(self) -> tuple[Check, ...]:
        """Two checks: the false-positive rate and the recall against those of the champion's threshold."""
        before, after = self.champion, self.new
        return (
            _within(
                "false_positive_rate",
                (before.false_positive_rate, after.false_positive_rate),
                limit=before.false_positive_rate.high,
                upper=True,
            ),
            _within("recall", (before.recall, after.recall), limit=before.recall.low, upper=False),
        )


def _within(name: str, figures: tuple[Estimate, Estimate], *, limit: float | None, upper: bool) -> Check:
    before, after = figures
    words = name.replace("_", "-", 1).replace("_", " ")
    if limit is None or after.value is None:
        detail = f"The change of the threshold cannot be checked: its {words} is not known, {after.reason}."
        return Check(name=f"threshold_{name}", passed=False, observed=after.value, limit=limit or 0.0, detail=detail)
    passed = after.value <= limit if upper else after.value >= limit
    evidence = (
        f"{_percent(after.value)} against {_percent(before.value)} at the champion's threshold, whose interval "
        f"{'ends' if upper else 'begins'} at {_percent(limit)} ({after.count:,} and {before.count:,} of {after.of:,})."
    )
    verdict = "does not" if passed else "would"
    what = f"raise the {words}" if upper else f"lower the {words}"
    opening = "The new threshold" if passed else "Threshold gate failed: the new threshold"
    return Check(
        name=f"threshold_{name}",
        passed=passed,
        observed=after.value,
        limit=limit,
        detail=f"{opening} {verdict} {what} beyond chance: {evidence}",
    )


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{100 * value:.3g} %"
