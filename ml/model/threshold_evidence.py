"""States how certain a threshold is, and what other thresholds would cost and find.

If two of 285 legitimate rows reach a threshold, its false-positive rate is not 0.7 %: later rows may show 0.1 % or
2.5 %. Chooses nothing: threshold.py does, by the policy, and a person where the budget is too small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ml.model import out_of_fold, threshold
from ml.model.metrics import CONFIDENCE, Estimate, rate

ALERT_SHARES = (0.0025, 0.005, 0.01, 0.02, 0.03, 0.05)  # of the rows: what a person can choose from
VALIDATION, OUT_OF_FOLD, TRAINING = "validation", "out-of-fold", "training"  # the last: in a run that fits nothing


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The rate of alerts that later rows may show at a threshold.

    `figure` is the rate that the policy limits: `false_positive_rate` or `alert_rate`; `count` of `of` rows reached the
    threshold where it was chosen. `dispersion` is the variance of the counts by block of time, relative to chance.
    """

    figure: str
    value: float
    low: float
    high: float
    count: int
    of: int
    blocks: int
    dispersion: float
    source: str

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return asdict(self)


def expected(
    policy: str, score: float, scores: ArrayLike, labels: ArrayLike = (), *, blocks: int, source: str
) -> Expected | None:
    """The interval of the rate at threshold `score`, from the rows in order of time that it was chosen on.

    For a threshold between the k-th and the next of n independent scores, the true rate is between two beta variables,
    whose outer quantiles are those of Clopper and Pearson (1934) for k of n: so the interval is exact. Rows in time
    are not independent. Their counts per block are compared with chance (Pearson's chi-square per degree of freedom,
    never below 1), and k and n are divided by that ratio.

    Returns:
        None without rows to count.
    """
    values = np.asarray(scores, dtype=np.float64)
    limited = threshold.limited_rows(policy, len(values), labels)
    rows = int(limited.sum())
    if not rows:
        return None
    block = out_of_fold.time_blocks(len(values), blocks)[limited]
    reached = values[limited] >= score
    of = np.bincount(block, minlength=blocks)
    dispersion = _dispersion(np.bincount(block[reached], minlength=blocks), of)
    count = int(reached.sum())
    k, n, tail = count / dispersion, rows / dispersion, (1 - CONFIDENCE) / 2
    return Expected(
        figure="alert_rate" if policy == "alert_budget" else "false_positive_rate",
        value=count / rows,
        low=float(stats.beta.ppf(tail, k, n - k + 1)) if count else 0.0,
        high=float(stats.beta.ppf(1 - tail, k + 1, n - k)) if count < rows else 1.0,
        count=count,
        of=rows,
        blocks=blocks,
        dispersion=dispersion,
        source=source,
    )


def _dispersion(counts: NDArray[np.intp], of: NDArray[np.intp]) -> float:
    share = counts.sum() / of.sum()
    filled = of > 0
    if not 0 < share < 1 or filled.sum() < 2:
        return 1.0
    residuals = (counts[filled] - share * of[filled]) ** 2 / (share * (1 - share) * of[filled])
    return max(1.0, float(residuals.sum() / (filled.sum() - 1)))


@dataclass(frozen=True, kw_only=True)
class Option:
    """What one threshold alerts and finds on the test rows.

    `alerts_per_day` is None if their time span is 0; `value_recall` and `value_missed` are None without amounts.
    """

    alert_share: float
    threshold: float
    alerts: int
    alerts_per_day: float | None
    recall: Estimate
    value_recall: float | None
    value_missed: float | None
    false_positive_rate: float | None

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return asdict(self) | {"recall": self.recall.to_dict()}


def options(
    scores: ArrayLike, labels: ArrayLike, amounts: ArrayLike | None, *, days: float, alert_shares: Sequence[float]
) -> list[Option]:
    """One option for each share of the rows that may be alerted, in the order of `alert_shares`.

    A share is left out if more rows than that score 1, so that no threshold keeps to it.

    Args:
        amounts: of the rows; `value_recall` is the share of the frauds' amounts that is alerted, `value_missed` the
            amount that is not, in the data's unit. None if the data has no amounts.
        days: the time that the rows span; 0 if unknown.
    """
    values = np.asarray(scores, dtype=np.float64)
    made = []
    for share in alert_shares:
        allowed = threshold.max_count(share, len(values))
        if np.count_nonzero(values >= 1) <= allowed:
            made.append(_option(share, threshold.lowest(values, allowed), values, labels, amounts, days=days))
    return made


def least(
    scores: ArrayLike,
    labels: ArrayLike,
    amounts: ArrayLike | None,
    *,
    days: float,
    suffices: Callable[[Estimate], bool],
) -> Option | None:
    """The option with the fewest alerts whose recall `suffices`; None if no threshold gives such a recall.

    Args:
        amounts, days: as for `options`.
        suffices: whether a recall is enough; one of more frauds out of as many must be, if one of fewer is.
    """
    values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    frauds = int(fraud.sum())
    for found in range(frauds + 1):
        if suffices(rate(found, frauds, "no frauds among the rows")):
            score = float(np.sort(values[fraud])[frauds - found]) if found else 1.0
            return _option(float(np.mean(values >= score)), score, values, labels, amounts, days=days)
    return None


def _option(
    share: float,
    score: float,
    values: NDArray[np.float64],
    labels: ArrayLike,
    amounts: ArrayLike | None,
    *,
    days: float,
) -> Option:
    """What the threshold `score` alerts and finds."""
    alert, fraud = values >= score, np.asarray(labels) == 1
    known = np.zeros(len(values)) if amounts is None else np.asarray(amounts, dtype=np.float64)
    stake = np.where(fraud, np.maximum(known, 0.0), 0.0)
    frauds, legitimate, total = int(fraud.sum()), int((~fraud).sum()), float(stake.sum())
    alerts, caught = int(alert.sum()), float(stake[alert].sum())
    return Option(
        alert_share=share,
        threshold=score,
        alerts=alerts,
        alerts_per_day=alerts / days if days > 0 else None,
        recall=rate(int((alert & fraud).sum()), frauds, "no frauds among the rows"),
        value_recall=caught / total if total else None,
        value_missed=None if amounts is None else total - caught,
        false_positive_rate=int((alert & ~fraud).sum()) / legitimate if legitimate else None,
    )


def attainable(frauds: int, rows: int, budget: float) -> float:
    """The highest recall that any ranking could have if the share `budget` of the rows may be alerted; at most 1.

    As if every alert were a fraud, and their share that at the lower end of its interval: where many rows are frauds,
    no model finds most of them within the budget.
    """
    share = rate(frauds, rows, "no rows").low
    return min(1.0, budget / share) if share else 1.0


def shortfall(recall: Estimate, wanted: float, needed: Option | None = None, limit: float = 1.0) -> str | None:
    """Why the alert budget does not suffice, or None: even the upper end of recall within it is below `wanted`.

    None also where the ranking is what is missing: if the gate's limit is met at no budget of ALERT_SHARES, although a
    model could reach `wanted` within the budget, more alerts are no answer, and the question would mislead.

    Args:
        recall: within the alert budget (metrics' `recall_at_alert_budget`).
        needed: the option with the fewest alerts that meets the gate's limit of recall; None if none does.
        limit: the recall that any ranking could have within the budget (`attainable`).
    """
    if recall.value is None or recall.high is None or recall.high >= wanted:
        return None
    if limit >= wanted and needed is not None and needed.alert_share > max(ALERT_SHARES):
        return None
    return (
        f"The alert budget no longer suffices: within it, recall is {recall.value:.2f} (at most {recall.high:.2f}) on "
        f"{recall.of} frauds, and {wanted:.2f} is wanted. {_bound(limit, wanted)}{_need(needed)} A person must decide: "
        f"more alerts, or frauds that are missed."
    )


def _bound(limit: float, wanted: float) -> str:
    return f"No model finds more than {limit:.2f} of them within it. " if limit < wanted else ""


def _need(needed: Option | None) -> str:
    if needed is None:
        return "No number of alerts meets the gate's limit of recall."
    daily = "" if needed.alerts_per_day is None else f", {needed.alerts_per_day:,.1f} a day"
    wrong = needed.false_positive_rate
    alarms = "" if wrong is None else f", at a false-positive rate of {100 * wrong:.3g} %"
    return (
        f"The gate's limit of recall is met once {100 * needed.alert_share:.3g} % of the transactions are alerted"
        f"{daily}{alarms}."
    )
