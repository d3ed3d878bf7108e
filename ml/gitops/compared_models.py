"""Derives from evaluation.json what both models alert and find on the rows of their comparison, as rates.

Measures nothing. An evaluation of an earlier version has no amounts, and gives None for them.
"""
# The interval of a share is Wilson's, like that of every share in evaluation.json (ml.model.metrics.rate). This folder
# imports nothing of ml.model.

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.gitops import daily_rates

_MODELS = ("challenger", "champion")
_NORMAL_QUANTILE = 1.959963984540054  # of 97.5 %: both limits together leave out 5 %


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model on the rows of the comparison.

    `alerts_per_day` and `false_alarms_per_day` are None without a whole day of data; `amount_found` is the share of
    the frauds' amount that it finds at its threshold, None without amounts.
    """

    rows: int
    alerts: int
    false_alarms: int
    found: int
    alert_share: float
    alerts_per_day: float | None
    false_alarms_per_day: float | None
    amount_found: float | None

    def judged(self, budget: float) -> str:
        """Whether the alerts keep to the alert budget on these rows, and whether chance explains it if they do not."""
        if self.alert_share <= budget:
            return "within"
        return "over (within chance)" if lower_limit(self.alerts, self.rows) <= budget else "**over**"


def models(evaluation: Mapping[str, Any]) -> tuple[Model, Model] | None:
    """The new model and the champion; None if they were not compared, or if there was nothing to count."""
    compared = evaluation["champion"]
    recall, wrong = compared.get("recall"), compared.get("false_positive_rate")
    if compared["status"] != "compared" or recall is None or wrong is None:
        return None
    new, former = (_model(evaluation, name) for name in _MODELS)
    return new, former


def _model(evaluation: Mapping[str, Any], name: str) -> Model:
    compared = evaluation["champion"]
    rows, positives, days = compared["rows"], compared["positives"], daily_rates.days(evaluation)
    found = round(compared["recall"][name] * positives)
    wrong = round(compared["false_positive_rate"][name] * (rows - positives))
    daily = evaluation["rows"] / rows / days if days else None  # as if they were as many as the test rows
    amounts = evaluation.get("amounts_found")
    return Model(
        rows=rows,
        alerts=found + wrong,
        false_alarms=wrong,
        found=found,
        alert_share=(found + wrong) / rows,
        alerts_per_day=None if daily is None else (found + wrong) * daily,
        false_alarms_per_day=None if daily is None else wrong * daily,
        amount_found=amounts["models"][name]["value_recall"] if amounts and name in amounts["models"] else None,
    )


def ratio(new: float, former: float) -> str:
    """How many times as many, e.g. ` (2.8 times)`; '' if it is less than a quarter more or a fifth fewer."""
    if not former or 0.8 <= new / former <= 1.25:
        return ""
    return f" ({new / former:.2g} times)"


def change(new: float, former: float, *, digits: int) -> str:
    """What changed between two counts or rates, for a cell: `equal` if both read the same, else ratio or difference.

    Args:
        digits: the decimals that both are shown with.
    """
    difference = round(new, digits) - round(former, digits)
    if not round(difference, digits):
        return "equal"
    return ratio(new, former).strip(" ()") or f"{difference:+,.{digits}f}".replace("-", "−")


def lower_limit(count: int, of: int) -> float:
    """The lower limit of the 95 % interval of the share `count` / `of`."""
    share, z = count / of, _NORMAL_QUANTILE
    middle = share + z**2 / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + (z / (2 * of)) ** 2)
    return max((middle - half) / (1 + z**2 / of), 0.0)
