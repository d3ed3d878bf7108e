"""Metrics of scored rows (recall, precision, false-positive rate, average precision), each with its interval and count.

Rates have Wilson's score interval; average precision and ROC AUC have a bootstrap interval, stratified by class. An
undefined figure (no alerts, no frauds) is None with a reason, never NaN or 0. Sets no limits: gate.py does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model import threshold

CONFIDENCE = 0.95
RESAMPLES = 1000
CURVE_POINTS = 200
_CELLS_AT_ONCE = 2_000_000  # of weights held at a time while resampling: 16 MB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval; a rate also has `count` of `of` rows. `value` is None if undefined."""

    value: float | None
    low: float | None
    high: float | None
    count: int | None = None
    of: int | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it; `reason` is present only if `value` is null."""
        figures = {name: getattr(self, name) for name in ("value", "low", "high", "count", "of")}
        return figures if self.value is not None else figures | {"reason": self.reason}


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts of decisions against labels."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int

    @classmethod
    def of(cls, labels: ArrayLike, decisions: ArrayLike) -> Confusion:
        """Counts `decisions` (1 = alert) against `labels` (1 = fraud)."""
        fraud, alert = np.asarray(labels) == 1, np.asarray(decisions) == 1
        return cls(
            true_positives=int(np.count_nonzero(fraud & alert)),
            false_positives=int(np.count_nonzero(~fraud & alert)),
            true_negatives=int(np.count_nonzero(~fraud & ~alert)),
            false_negatives=int(np.count_nonzero(fraud & ~alert)),
        )

    @property
    def positives(self) -> int:
        """Frauds."""
        return self.true_positives + self.false_negatives

    @property
    def negatives(self) -> int:
        """Legitimate rows."""
        return self.false_positives + self.true_negatives

    @property
    def alerts(self) -> int:
        """Rows that the threshold flags."""
        return self.true_positives + self.false_positives


def rate(count: int, of: int, undefined: str, confidence: float = CONFIDENCE) -> Estimate:
    """`count` / `of` with Wilson's score interval (Wilson 1927); `undefined` is the reason if `of` is 0."""
    if of == 0:
        return Estimate(value=None, low=None, high=None, count=0, of=0, reason=undefined)
    from scipy import stats  # slow to import, and the drift check needs `Confusion` alone

    interval = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    return Estimate(value=count / of, low=float(interval.low), high=float(interval.high), count=count, of=of)


class Ranking:
    """Ranks of all rows relative to the frauds' scores, on which average precision and ROC AUC depend.

    Frauds form G groups of equal score, the highest first. Legitimate rows form 2G + 1 cells: above the first group,
    tied with it, between it and the second, tied with the second, … below the last. A resample of the rows is then one
    count per group and one per cell. With a few hundred frauds, the bootstrap of millions of rows costs as much as
    that of a few hundred, and it is exact. scikit-learn's functions would need every row in every resample.
    """

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
        levels, rising = np.unique(values[fraud], return_inverse=True)
        legitimate = values[~fraud]
        position = np.searchsorted(levels, legitimate, side="left") + np.searchsorted(levels, legitimate, side="right")
        self.groups = len(levels)
        self.cells = 2 * len(levels) + 1
        self.group = len(levels) - 1 - rising  # of each fraud, in the order of the rows
        self.cell = 2 * len(levels) - position  # of each legitimate row
        self.frauds_by_group = np.bincount(self.group, minlength=self.groups)
        self.rows_by_cell = np.bincount(self.cell, minlength=self.cells)

    def average_precision(self, frauds: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each resample: the mean over frauds of the precision at their score, as scikit-learn defines it.

        Args:
            frauds: counts, (resamples, groups).
            rows: counts of legitimate rows, (resamples, cells).
        """
        true_alerts = np.cumsum(frauds, axis=1)
        false_alerts = np.cumsum(rows, axis=1)[:, 1::2]
        precision = true_alerts / np.maximum(true_alerts + false_alerts, 1)
        return np.asarray((frauds * precision).sum(axis=1) / true_alerts[:, -1])

    def roc_auc(self, frauds: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each resample: the share of (fraud, legitimate row) pairs in the right order; a tie counts half."""
        reached = np.cumsum(rows, axis=1)
        total = reached[:, -1:]
        in_order = total - reached[:, 1::2] + rows[:, 1::2] / 2
        return np.asarray((frauds * in_order).sum(axis=1) / (frauds.sum(axis=1) * total[:, 0]))


def blocks(resamples: int, width: int) -> Iterator[int]:
    """Splits `resamples` into blocks whose counts, `width` per resample, need bounded memory."""
    size = max(1, _CELLS_AT_ONCE // max(width, 1))
    for start in range(0, resamples, size):
        yield min(size, resamples - start)


def ranking_figures(labels: ArrayLike, scores: ArrayLike, seed: int) -> dict[str, Estimate]:
    """Average precision and ROC AUC with percentile intervals of a bootstrap stratified by class."""
    ranking = Ranking(labels, scores)
    frauds, rows = ranking.frauds_by_group, ranking.rows_by_cell
    names = ("average_precision", "roc_auc")
    if not frauds.sum() or not rows.sum():
        reason = "no frauds to rank" if not frauds.sum() else "no legitimate rows to rank"
        return {name: Estimate(value=None, low=None, high=None, reason=reason) for name in names}
    random = np.random.default_rng(seed)
    drawn: dict[str, list[NDArray[np.float64]]] = {name: [] for name in names}
    for size in blocks(RESAMPLES, ranking.cells):
        f = random.multinomial(frauds.sum(), frauds / frauds.sum(), size=size)
        r = random.multinomial(rows.sum(), rows / rows.sum(), size=size)
        drawn["average_precision"].append(ranking.average_precision(f, r))
        drawn["roc_auc"].append(ranking.roc_auc(f, r))
    observed = {
        "average_precision": ranking.average_precision(frauds[None], rows[None]),
        "roc_auc": ranking.roc_auc(frauds[None], rows[None]),
    }
    figures = {}
    for name in names:
        low, high = percentiles(np.concatenate(drawn[name]), CONFIDENCE)
        figures[name] = Estimate(value=float(observed[name][0]), low=low, high=high)
    return figures


def percentiles(values: NDArray[np.float64], confidence: float) -> tuple[float, float]:
    """The middle `confidence` of bootstrapped `values`."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def measure(
    labels: ArrayLike, scores: ArrayLike, decisions: ArrayLike, *, alert_budget: float, seed: int
) -> dict[str, Estimate]:
    """Every figure that an evaluation reports, by its name in evaluation.json.

    Args:
        labels: 1 for fraud, 0 for legitimate.
        scores: probabilities of fraud.
        decisions: 1 where the model alerts at its own threshold.
        alert_budget: the share of rows that can be reviewed; `recall_at_alert_budget` alerts the highest scores
            within it, rows of equal score together or not at all.
        seed: of the bootstrap.
    """
    truth, values = np.asarray(labels), np.asarray(scores, dtype=np.float64)
    counts = Confusion.of(truth, decisions)
    return {
        "recall": rate(counts.true_positives, counts.positives, "no frauds among the rows"),
        "precision": rate(counts.true_positives, counts.alerts, "no alerts among the rows"),
        "false_positive_rate": rate(counts.false_positives, counts.negatives, "no legitimate rows"),
        "alert_rate": rate(counts.alerts, len(truth), "no rows"),
        "recall_at_alert_budget": rate(
            _frauds_within(truth, values, threshold.max_count(alert_budget, len(truth))),
            counts.positives,
            "no frauds among the rows",
        ),
        **ranking_figures(truth, values, seed),
    }


def _frauds_within(labels: NDArray[Any], scores: NDArray[np.float64], allowed: int) -> int:
    """Frauds among the `allowed` highest scores; rows that tie at the cut are left out together."""
    if allowed >= len(scores):
        return int(np.count_nonzero(labels == 1))
    first_excluded = np.partition(scores, len(scores) - 1 - allowed)[len(scores) - 1 - allowed]
    return int(np.count_nonzero((scores > first_excluded) & (labels == 1)))


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> list[tuple[float, float, float]]:
    """(recall, precision, threshold) from the strictest threshold to the one that finds every fraud.

    The points are scikit-learn's at the frauds' scores; between two of them precision only falls. At most 200 points,
    evenly thinned, with the first and the last.
    """
    truth, values = np.asarray(labels) == 1, np.asarray(scores, dtype=np.float64)
    if not truth.any():
        return []
    order = np.argsort(-values, kind="stable")
    last = np.flatnonzero(np.diff(values[order], append=-np.inf))  # of each run of equal scores
    found, thresholds = np.cumsum(truth[order])[last], values[order][last]
    at_fraud = np.flatnonzero(np.diff(found, prepend=0))
    recall, precision = found / found[-1], found / (last + 1)
    points = np.unique(np.linspace(0, len(at_fraud) - 1, min(len(at_fraud), CURVE_POINTS)).round().astype(int))
    kept = at_fraud[points]
    return list(zip(recall[kept].tolist(), precision[kept].tolist(), thresholds[kept].tolist(), strict=True))
