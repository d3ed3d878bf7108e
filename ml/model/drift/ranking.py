"""Tests whether a model still ranks frauds above legitimate rows as well as when it was approved.

A new threshold repairs scores that have moved, not scores in the wrong order: this test tells the two apart. It
compares the partial area under the ROC curve (McClish 1989, "Analyzing a portion of the ROC curve", Medical Decision
Making 9) of mature labels with that of the drift reference. It does not depend on the threshold or on the share of
frauds.

Counts per class on fixed score edges are enough: they add up over days, and rows of one bin count as tied, in the
window as in the reference. The edges halve the tail of all scores every second step, without looking at labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2_000
_STEPS_PER_HALVING = 2
_MIN_TAIL_ROWS = 10


@dataclass(frozen=True, kw_only=True)
class RankingRules:
    """When ranking has suffered: a drop of at least `min_drop` whose interval at `confidence` is below zero.

    `max_false_positive_rate` is the part of the ROC curve that counts. With fewer than `min_frauds` frauds there is no
    result.
    """

    max_false_positive_rate: float
    min_drop: float
    confidence: float
    min_frauds: int


@dataclass(frozen=True, kw_only=True)
class RankingCounts:
    """Rows per bin of scores, the lowest first, by label. Counts of parts add up to those of all rows."""

    legitimate: tuple[int, ...]
    frauds: tuple[int, ...]

    @classmethod
    def of(cls, edges: ArrayLike, scores: ArrayLike, labels: ArrayLike) -> RankingCounts:
        """Counts rows with a finite score and a label: 1 fraud, 0 legitimate, anything else unknown.

        Args:
            edges: interior, ascending; a score on an edge belongs to the bin above it.
        """
        interior, values = np.asarray(edges, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        truth, finite = np.asarray(labels), np.isfinite(values)
        bins = np.searchsorted(interior, np.where(finite, values, 0.0), side="right")
        size = len(interior) + 1
        legitimate, frauds = (np.bincount(bins[finite & (truth == label)], minlength=size) for label in (0, 1))
        return cls(legitimate=tuple(legitimate.tolist()), frauds=tuple(frauds.tolist()))

    def __add__(self, other: RankingCounts) -> RankingCounts:
        """The counts of both sets of rows; ValueError if the bins differ."""
        if len(self.frauds) != len(other.frauds):
            raise ValueError("ranking counts can be added only if they share a drift reference")
        return RankingCounts(
            legitimate=tuple(map(int.__add__, self.legitimate, other.legitimate)),
            frauds=tuple(map(int.__add__, self.frauds, other.frauds)),
        )

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RankingCounts:
        """The inverse of `to_dict`; other keys are ignored."""
        return cls(legitimate=tuple(document["legitimate"]), frauds=tuple(document["frauds"]))

    def to_dict(self) -> dict[str, list[int]]:
        """The JSON form."""
        return {"legitimate": list(self.legitimate), "frauds": list(self.frauds)}


@dataclass(frozen=True, kw_only=True)
class RankingVerdict:
    """The result of the test. Figures are partial areas from 0 to 1: the mean recall over the false-positive rates.

    `suffered` is None without a result; `reason` says why, else what was found. `difference` is window minus reference,
    with the interval `low` to `high`.
    """

    suffered: bool | None
    reason: str
    window: float | None = None
    reference: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    frauds: int = 0
    reference_frauds: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


def tail_edges(scores: ArrayLike) -> list[float]:
    """Edges at the quantiles 1 - 2**(-k/2) of `scores`, as long as ten rows lie above; ascending and distinct."""
    values = np.asarray(scores, dtype=np.float64)
    if len(values) <= _MIN_TAIL_ROWS:
        return []
    steps = int(_STEPS_PER_HALVING * np.log2(len(values) / _MIN_TAIL_ROWS))
    edges = np.unique(np.quantile(values, 1 - 2.0 ** (-np.arange(1, steps + 1) / _STEPS_PER_HALVING)))
    return [float(edge) for edge in edges if edge > values.min()]


def reference_of(scores: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """The edges and counts of held-out rows, as baseline.json holds them."""
    edges = tail_edges(scores)
    return {"edges": edges, **RankingCounts.of(edges, scores, labels).to_dict()}


def partial_area(legitimate: NDArray[Any], frauds: NDArray[Any], max_false_positive_rate: float) -> NDArray[np.float64]:
    """The mean recall over false-positive rates from 0 to `max_false_positive_rate`, for counts (samples, bins).

    The ROC curve is linear within a bin: its rows are tied.
    """
    x, y = (_shares_above(np.asarray(counts, dtype=np.float64)) for counts in (legitimate, frauds))
    left, right = x[:, :-1], np.minimum(x[:, 1:], max_false_positive_rate)
    width = x[:, 1:] - left
    covered = np.clip(right - left, 0.0, None)
    rise = (y[:, 1:] - y[:, :-1]) * np.divide(covered, width, out=np.zeros_like(covered), where=width > 0)
    area = covered * (y[:, :-1] + rise / 2)
    return np.asarray(area.sum(axis=1) / max_false_positive_rate)


def compare(reference: RankingCounts, window: RankingCounts, rules: RankingRules, *, seed: int = 0) -> RankingVerdict:
    """Compares the ranking of mature labels with that of the reference.

    The interval is that of a bootstrap of both, stratified by class; it is deterministic.

    Raises:
        ValueError: the bins differ.
    """
    if len(reference.frauds) != len(window.frauds):
        raise ValueError("rankings can be compared only on the bins of one drift reference")
    found, known = sum(window.frauds), sum(reference.frauds)
    counts = {"frauds": found, "reference_frauds": known}
    if min(found, known) < rules.min_frauds or not sum(window.legitimate) or not sum(reference.legitimate):
        reason = (
            f"ranking cannot be tested: {found:,} frauds with mature labels and {known:,} in the drift reference, "
            f"where {rules.min_frauds:,} are needed"
        )
        return RankingVerdict(suffered=None, reason=reason, **counts)
    random = np.random.default_rng(seed)
    drawn = [_resampled(random, each, rules.max_false_positive_rate) for each in (window, reference)]
    now, before = (float(areas[0]) for areas in drawn)
    low, high = np.quantile(
        drawn[0][1:] - drawn[1][1:], [(1 - rules.confidence) / 2, (1 + rules.confidence) / 2]
    ).tolist()
    suffered = now - before <= -rules.min_drop and high < 0
    reason = (
        f"mean recall at false-positive rates up to {100 * rules.max_false_positive_rate:g} % is {now:.3f} on "
        f"{found:,} frauds and was {before:.3f} on {known:,} ({now - before:+.3f}, interval {low:+.3f} to {high:+.3f})"
        + (": the ranking has suffered" if suffered else ": no loss of ranking is shown")
    )
    return RankingVerdict(
        suffered=suffered,
        reason=reason,
        window=now,
        reference=before,
        difference=now - before,
        low=low,
        high=high,
        **counts,
    )


def _shares_above(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """(samples, bins) → (samples, bins + 1): the share of rows in the upper bins, from none to all."""
    above = np.cumsum(counts[:, ::-1], axis=1)
    return np.concatenate([np.zeros((len(counts), 1)), above / above[:, -1:]], axis=1)


def _resampled(random: np.random.Generator, counts: RankingCounts, limit: float) -> NDArray[np.float64]:
    """The partial area of `counts`, then that of each bootstrap draw."""
    rows, frauds = np.array([counts.legitimate]), np.array([counts.frauds])
    drawn = [
        np.vstack([each, random.multinomial(int(each.sum()), each[0] / each.sum(), size=DRAWS)])
        for each in (rows, frauds)
    ]
    return partial_area(drawn[0], drawn[1], limit)
