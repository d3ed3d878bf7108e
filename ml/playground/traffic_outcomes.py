"""Counts what each way of deciding finds in the traffic of a simulated year, and compares them at equal false alarms.

The ways are the model that served (with retraining), the first model (without), and the first model or a rule on the
amount, which is what a bank tries first. Knows every true label, which the product under test does not. Decides
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from ml.model.metrics import Confusion
from ml.report.year_data import SIDES, AtEqualFalseAlarms, Reaction, SideCounts

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
    months: dict[int, list[tuple[date, ScoredRows]]] = field(default_factory=dict)

    def add(self, month: int, day: date, rows: ScoredRows) -> None:
        """Adds rows of a day of `month`."""
        self.months.setdefault(month, []).append((day, rows))

    def counts(self, month: int) -> dict[str, SideCounts]:
        """The counts of each side in `month`."""
        rows = self._rows([month])
        return {side: _counts(rows, alerts) for side, alerts in self._alerts(rows).items()}

    def rule_until_recovery(self, months: Iterable[int], reaction: Reaction) -> tuple[SideCounts, ...]:
        """Each of `months` if the rule had alerted beside the models that served until one found the new frauds.

        That is from the day after the alarm to the day of the recovery; without a recovery to the end. Empty without
        an alarm.
        """
        if reaction.alarm is None:
            return ()
        last = reaction.recovery or date.max
        found = []
        for month in months:
            rows = self._rows([month])
            ruled = [np.full(len(part.truth), reaction.alarm < day <= last) for day, part in self.months[month]]
            by_amount = np.concatenate(ruled) & (rows.amounts >= self.rule_amount)
            found.append(_counts(rows, rows.served | by_amount))
        return tuple(found)

    def at_equal_false_alarms(self, months: Iterable[int]) -> dict[str, AtEqualFalseAlarms]:
        """Each side in `months` together, with its limit set anew to give as many false alarms as were served.

        The first model gets another threshold, also beside the rule, which keeps its amount. Alerts with equal values
        are all given or all left out, so that a side may have fewer false alarms. A side that exceeds them at every
        limit of its own is left out.
        """
        rows = self._rows(months)
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

    def _rows(self, months: Iterable[int]) -> ScoredRows:
        return ScoredRows.concatenate([rows for month in months for _, rows in self.months[month]])

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
