"""Metrics of scored rows (recall, precision, false-positive rate, average precision), each with its interval and count.

Rates carry Wilson's score interval; average precision and ROC AUC a bootstrap stratified by class. A figure that does
not exist (no alerts, no frauds) is None with a reason, never NaN and never 0. Says nothing about what is good enough:
that is gate.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ml.model import threshold

CONFIDENCE = 0.95
RESAMPLES = 1000
CURVE_POINTS = 200
_CELLS_AT_ONCE = 2_000_000  # of weights held at a time while resampling: 16 MB


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its interval; where it is a rate, `count` of `of` rows. `value` is None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    count: int | None = None
    of: int | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it; `reason` is there only where `value` is null."""
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
        """Counts what `decisions` (1 = alert) made of `labels` (1 = fraud)."""
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


def rate(count: int, of: int, nothing: str, confidence: float = CONFIDENCE) -> Estimate:
    """`count` / `of` with Wilson's score interval (Wilson 1927); `nothing` is the reason where `of` is 0."""
    if of == 0:
        return Estimate(value=None, low=None, high=None, count=0, of=0, reason=nothing)
    interval = stats.binomtest(count, of).proportion_ci(confidence, method="wilson")
    return Estimate(value=count / of, low=float(interval.low), high=float(interval.high), count=count, of=of)


class Ranking:
    """Where each row's score stands among the frauds' scores; all that average precision and ROC AUC depend on.

    Frauds fall into G groups of equal score, the highest first. Legitimate rows fall into 2G + 1 cells: above the first
    group, level with it, between it and the second, level with that, … below the last. A resample of the rows is then
    a vector of counts per group and one per cell: with a few hundred frauds the bootstrap of millions of rows costs
    as much as that of a few hundred, and is exact.
    """

    def __init__(self, labels: ArrayLike, scores: ArrayLike) -> None:
        values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
        levels, rising = np.unique(values[fraud], return_inverse=True)
        legitimate = values[~fraud]
        position = np.searchsorted(levels, legitimate, side="left") + np.searchsorted(levels, legitimate, side="right")
        self.levels = levels[::-1]
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
        found = np.cumsum(frauds, axis=1)
        false = np.cumsum(rows, axis=1)[:, 1::2]
        precision = found / np.maximum(found + false, 1)
        return np.asarray((frauds * precision).sum(axis=1) / found[:, -1])

    def roc_auc(self, frauds: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each resample: the share of pairs of a fraud and a legitimate row that are in order, ties half."""
        reached = np.cumsum(rows, axis=1)
        total = reached[:, -1:]
        in_order = total - reached[:, 1::2] + rows[:, 1::2] / 2
        return np.asarray((frauds * in_order).sum(axis=1) / (frauds.sum(axis=1) * total[:, 0]))


def blocks(resamples: int, width: int) -> Iterator[int]:
    """Splits `resamples` into runs whose counts, `width` a resample, fit into a bounded amount of memory."""
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
        alert_budget: the share of rows that people can look at; `recall_at_alert_budget` alerts the highest scores
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
            _found_within(truth, values, threshold.allowance(alert_budget, len(truth))),
            counts.positives,
            "no frauds among the rows",
        ),
        **ranking_figures(truth, values, seed),
    }


def _found_within(labels: NDArray[Any], scores: NDArray[np.float64], allowed: int) -> int:
    """Frauds among the `allowed` highest scores; rows that tie at the edge are left out together."""
    if allowed >= len(scores):
        return int(np.count_nonzero(labels == 1))
    first_left_out = np.partition(scores, len(scores) - 1 - allowed)[len(scores) - 1 - allowed]
    return int(np.count_nonzero((scores > first_left_out) & (labels == 1)))


def precision_recall_curve(labels: ArrayLike, scores: ArrayLike) -> list[tuple[float, float, float]]:
    """(recall, precision, threshold) from the strictest threshold to the one that finds every fraud.

    The points are those at the frauds' own scores, between which precision only falls; at most 200, evenly thinned,
    the first and the last kept.
    """
    ranking = Ranking(labels, scores)
    if not ranking.groups:
        return []
    found = np.cumsum(ranking.frauds_by_group)
    false = np.cumsum(ranking.rows_by_cell)[1::2]
    kept = np.unique(np.linspace(0, ranking.groups - 1, min(ranking.groups, CURVE_POINTS)).round().astype(int))
    curve = np.column_stack([found / found[-1], found / (found + false), ranking.levels])[kept]
    return [(float(recall), float(precision), float(score)) for recall, precision, score in curve]
