"""Counts what each way of deciding finds in the traffic of a simulated year, and compares them at equal false alarms.

The ways are the model that served (with retraining), the first model (without), and the first model or a rule on the
amount, which is what a bank tries first. Knows every true label, which the product under test does not. Decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml.model.metrics import Confusion
from ml.report.year_data import SIDES, AtEqualFalseAlarms, SideCounts

RULE_QUANTILE = 0.99
"""The rule alerts on the amounts of history from this quantile on."""
_SERVED, _FIRST_MODEL, _RULE = SIDES


@dataclass(frozen=True, kw_only=True)
class ScoredRows:
    """Some rows of a month, all arrays of one length: labels, amounts, the decisions that were served, scores.

    `first_kind` are the frauds that the scenario did not relabel; `scores` are the first model's.
    """

    truth: NDArray[np.bool_]
    first_kind: NDArray[np.bool_]
    amounts: NDArray[np.float64]
    served: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @classmethod
    def concatenate(cls, parts: Sequence[ScoredRows]) -> ScoredRows:
        """All rows of `parts`, of which there is at least one."""
        names = ("truth", "first_kind", "amounts", "served", "scores")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(kw_only=True)
class TrafficOutcomes:
    """The rows of a year by month, and the limits of the first model and of the rule.

    `threshold` is the first model's; the rule alerts on amounts from `rule_amount` on.
    """

    threshold: float
    rule_amount: float
    months: dict[int, list[ScoredRows]] = field(default_factory=dict)

    def add(self, month: int, rows: ScoredRows) -> None:
        """Adds rows of `month`."""
        self.months.setdefault(month, []).append(rows)

    def counts(self, month: int) -> dict[str, SideCounts]:
        """The counts of each side in `month`."""
        rows = ScoredRows.concatenate(self.months[month])
        return {side: _counts(rows, alerts) for side, alerts in self._alerts(rows).items()}

    def at_equal_false_alarms(self, months: Iterable[int]) -> dict[str, AtEqualFalseAlarms]:
        """Each side in `months` together, with its limit set anew to give as many false alarms as were served.

        The first model gets another threshold, also beside the rule, which keeps its amount. Alerts with equal values
        are all given or all left out, so that a side may have fewer false alarms. A side that exceeds them at every
        limit of its own is left out.
        """
        rows = ScoredRows.concatenate([part for month in months for part in self.months[month]])
        allowed = int((rows.served & ~rows.truth).sum())
        by_amount = rows.amounts >= self.rule_amount
        never = np.zeros_like(by_amount)
        found = {_SERVED: rows.served}
        for side, values, always in (
            (_FIRST_MODEL, rows.scores, never),
            (_RULE, rows.scores, by_amount),
        ):
            alerts = _with_false_alarms(values, always, rows.truth, allowed)
            if alerts is not None:
                found[side] = alerts
        return {side: AtEqualFalseAlarms.of(_counts(rows, alerts)) for side, alerts in found.items()}

    def _alerts(self, rows: ScoredRows) -> Mapping[str, NDArray[np.bool_]]:
        model = rows.scores >= self.threshold
        return {_SERVED: rows.served, _FIRST_MODEL: model, _RULE: model | (rows.amounts >= self.rule_amount)}


def _with_false_alarms(
    values: NDArray[np.float64], always: NDArray[np.bool_], truth: NDArray[np.bool_], allowed: int
) -> NDArray[np.bool_] | None:
    """Alerts `always` and above a limit of `values`, with at most `allowed` false alarms; None if impossible."""
    left = allowed - int((always & ~truth).sum())
    if left < 0:
        return None
    others = np.sort(values[~truth & ~always])[::-1]
    alerts: NDArray[np.bool_] = always | (values > others[left] if left < len(others) else np.ones_like(always))
    return alerts


def _counts(rows: ScoredRows, alerts: NDArray[np.bool_]) -> SideCounts:
    return SideCounts(
        confusion=Confusion.of(rows.truth.astype(np.int8), alerts.astype(np.int8)),
        first_kind=int(rows.first_kind.sum()),
        first_kind_detected=int((rows.first_kind & alerts).sum()),
        fraud_value=round(float(rows.amounts[rows.truth].sum()), 2),
        value_detected=round(float(rows.amounts[rows.truth & alerts].sum()), 2),
    )
