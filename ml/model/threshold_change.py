"""Compares a new threshold with the champion's on the same scores, and checks that the test rows support the change.

For runs of kind `threshold`, whose model has the champion's coefficients. Alerts at the higher of two thresholds are
alerts at the lower one too, so a change only adds alerts or only removes some. It is supported if neither more false
alarms nor a lower recall leave the interval of the figure that the champion's threshold has on these rows. More false
alarms are also supported if they stay within what the threshold policy allows and recall leaves its interval upwards: a
fraud or two more are chance, and would not pay for false alarms that are none.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ml.model import metrics
from ml.model.gate_check import Check
from ml.model.metrics import Confusion, Estimate
from ml.model.training_settings import Threshold


@dataclass(frozen=True, kw_only=True)
class ThresholdFigures:
    """What one threshold gives on the test rows; rates have Wilson's interval.

    `value_missed` is the amount of the frauds that it does not alert, in the data's unit; None without amounts.
    """

    score: float
    alerts: int
    recall: Estimate
    false_positive_rate: Estimate
    alert_rate: Estimate
    value_missed: float | None

    @classmethod
    def of(cls, score: float, scores: ArrayLike, labels: ArrayLike, amounts: ArrayLike | None) -> ThresholdFigures:
        """The figures of the threshold `score` on rows with `scores`, `labels` (1 = fraud) and perhaps `amounts`."""
        alert, fraud = np.asarray(scores) >= score, np.asarray(labels) == 1
        counts = Confusion.of(labels, alert)
        return cls(
            score=score,
            alerts=counts.alerts,
            recall=metrics.rate(counts.true_positives, counts.positives, "no frauds among the rows"),
            false_positive_rate=metrics.rate(counts.false_positives, counts.negatives, "no legitimate rows"),
            alert_rate=metrics.rate(counts.alerts, len(fraud), "no rows"),
            value_missed=None
            if amounts is None
            else float(np.maximum(np.asarray(amounts, dtype=np.float64)[fraud & ~alert], 0.0).sum()),
        )


@dataclass(frozen=True, kw_only=True)
class ThresholdChange:
    """The champion's threshold and the new one, on the same test rows, and the policy that chose the new one."""

    champion: ThresholdFigures
    new: ThresholdFigures
    policy: Threshold

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
                instead=self._gain_within_policy(),
            ),
            _within("recall", (before.recall, after.recall), limit=before.recall.low, upper=False),
        )

    def _gain_within_policy(self) -> tuple[bool, str]:
        """Whether the policy supports more false alarms, and the evidence in words.

        Alerts are only added, so a fraud that the new threshold finds and the champion's does not is a gain without a
        loss. What the added alerts may cost is the policy's limit; a fixed threshold has none.
        """
        policy, after = self.policy, self.new
        found = (after.recall.count or 0) - (self.champion.recall.count or 0)
        if policy.policy == "min_cost":
            if after.value_missed is None:
                return False, "The threshold policy min_cost needs amounts, and the data has none."
            costs = [self._cost(figures) for figures in (self.champion, after)]
            words = f"alerts and missed frauds cost {costs[1]:,.2f} on these rows, against {costs[0]:,.2f} before"
            return found > 0 and costs[1] < costs[0], f"it finds {_frauds(found)} more, and {words}."
        limited = {"max_recall_at_fpr": after.false_positive_rate, "alert_budget": after.alert_rate}.get(policy.policy)
        if limited is None or limited.value is None:
            return False, f"The threshold policy {policy.policy} allows no share of alerts."
        name = "false-positive rate" if policy.policy == "max_recall_at_fpr" else "alert rate"
        inside = limited.value <= policy.value
        best = self.champion.recall.high
        beyond = best is not None and after.recall.value is not None and after.recall.value > best
        gain = f"it finds {_frauds(found)} more, {'beyond' if beyond else 'which may be'} chance"
        words = f"the {name} {_percent(limited.value)} is {'within' if inside else 'above'} the policy's"
        return beyond and inside, f"{gain}, and {words} {_percent(policy.value)}."

    def _cost(self, figures: ThresholdFigures) -> float:
        return self.policy.value * figures.alerts + (self.policy.loss_share or 0.0) * (figures.value_missed or 0.0)


def _within(
    name: str,
    figures: tuple[Estimate, Estimate],
    *,
    limit: float | None,
    upper: bool,
    instead: tuple[bool, str] | None = None,
) -> Check:
    """The check that a figure has not become worse than `limit`; `instead` is what else supports it, in words."""
    before, after = figures
    words = name.replace("_", "-", 1).replace("_", " ")
    if limit is None or after.value is None:
        detail = f"The change of the threshold cannot be checked: its {words} is not known, {after.reason}."
        return Check(name=f"threshold_{name}", passed=False, observed=after.value, limit=limit or 0.0, detail=detail)
    chance = after.value <= limit if upper else after.value >= limit
    supported, gain = (False, "") if instead is None or chance else instead
    evidence = (
        f"{_percent(after.value)} against {_percent(before.value)} at the champion's threshold, whose interval "
        f"{'ends' if upper else 'begins'} at {_percent(limit)} ({after.count:,} and {before.count:,} of {after.of:,})."
    )
    what = f"raise the {words}" if upper else f"lower the {words}"
    if chance:
        opening = f"The new threshold does not {what} beyond chance"
    elif supported:
        opening = f"The new threshold would {what} beyond chance, which its gain supports"
    else:
        opening = f"Threshold gate failed: the new threshold would {what} beyond chance"
    return Check(
        name=f"threshold_{name}",
        passed=chance or supported,
        observed=after.value,
        limit=limit,
        detail=f"{opening}: {evidence}{f' {gain[0].upper()}{gain[1:]}' if gain else ''}",
    )


def _frauds(count: int) -> str:
    return "no fraud" if not count else f"{count:,} fraud{'' if count == 1 else 's'}"


def _percent(value: float | None) -> str:
    return "an unknown share" if value is None else f"{100 * value:.3g} %"
