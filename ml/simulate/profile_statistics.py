"""Computes a profile from transactions: figures by class from which no transaction can be recovered.

Every figure is made of at least `floor` transactions. The values of a column are sorted and divided into blocks of at
least `floor` neighbours, and its quantiles are interpolated between the means of the blocks (microaggregation: Domingo-
Ferrer and Mateo-Sanz 2002, "Practical data-oriented microaggregation for statistical disclosure control", IEEE TKDE
14(1)). The smallest and the largest value are means of a block, too. A mean is rounded by the range of its block, so
that a value far from the rest of its block cannot be computed from it (the dominance rule: Hundepool et al. 2012,
"Statistical Disclosure Control", Wiley, section 4.2). Values of text columns that occur less often are counted
together, or left out if they are still fewer, and so are hours of the day. Correlations are those of ranks, rounded; a
column in which fewer than `floor` transactions differ from its most frequent value has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from ml.errors import DataError
from ml.simulate.profile import HOURS, QUANTILE_LEVELS

FLOOR = 10
"""The least number of transactions behind a figure. Statistical offices publish no cell of fewer than three to ten."""
BLOCKS = 5
"""The least number of blocks: a class needs BLOCKS times the floor in rows."""
OTHER = "other"
MAX_DECIMALS = 6
_DIGITS = 6  # significant, of block means
_CORRELATION_DIGITS = 3


@dataclass(frozen=True, kw_only=True)
class Rows:
    """n transactions of a class: `values` float64[n, columns], `categories` n texts each, `hours` int64[n], 0 to 23."""

    values: NDArray[np.float64]
    categories: Mapping[str, Sequence[str]]
    hours: NDArray[np.int64]


def group(label: int, rows: Rows, columns: Sequence[str], floor: int) -> dict[str, Any]:
    """The group of a class, as a profile file has it.

    Raises:
        DataError: the class has fewer rows than five times the floor, or a value is not finite.
    """
    count = len(rows.values)
    if count < BLOCKS * floor:
        raise DataError(
            f"class {label} has {count:,} transactions with a label; a profile needs at least {BLOCKS * floor:,}, so "
            f"that none can be recovered from it: import more data, or wait for labels"
        )
    infinite = [name for name, column in zip(columns, rows.values.T, strict=True) if not np.isfinite(column).all()]
    if infinite:
        raise DataError(f"column {infinite[0]} has values that are not finite numbers; remove the import that has them")
    return {
        "label": label,
        "share_of_class": 1.0,
        "rows_fitted": count,
        "quantiles": {name: quantiles(column, floor) for name, column in zip(columns, rows.values.T, strict=True)},
        "categories": {name: shares(values, floor) for name, values in rows.categories.items()},
        "rank_correlation": rank_correlation(rows.values, floor),
    }


def quantiles(values: NDArray[np.float64], floor: int) -> list[float]:
    """The values at QUANTILE_LEVELS, interpolated between rounded means of blocks of at least `floor` sorted values."""
    centre = float(np.median(values))
    blocks = np.array_split(np.sort(values), len(values) // floor)
    means = np.array([_rounded_mean(block, centre) for block in blocks])
    sizes = np.array([len(block) for block in blocks])
    middles = (np.cumsum(sizes) - sizes / 2) / len(values)
    found = np.interp(QUANTILE_LEVELS, middles, means)
    rounded = [float(f"{value:.{_DIGITS}g}") for value in found.tolist()]
    return list(accumulate((value + 0.0 for value in rounded), max))


def _rounded_mean(block: NDArray[np.float64], centre: float) -> float:
    """The mean of a sorted block, rounded towards `centre` to a power of two of at least its range / its rows.

    If all other values of the block are known, the mean then leaves a range for the last one that is as wide as its
    distance from them.
    """
    mean, width = float(block.mean()), float(block[-1] - block[0])
    if width == 0:
        return mean
    step = 2.0 ** np.ceil(np.log2(width / len(block)))
    return float((np.floor if mean >= centre else np.ceil)(mean / step) * step)


def shares(values: Sequence[str], floor: int) -> dict[str, float]:
    """The shares of the values that occur at least `floor` times; the others together, if they reach it, as `other`.

    A value of that name is counted with the others.
    """
    counts = Counter(values)
    kept = {value: count for value, count in sorted(counts.items()) if count >= floor and value != OTHER}
    rest = len(values) - sum(kept.values())
    if rest >= floor or not kept:
        kept[OTHER] = rest
    total = sum(kept.values())
    return {value: round(count / total, _DIGITS) for value, count in kept.items()}


def hourly_counts(hours: NDArray[np.int64], floor: int) -> list[float]:
    """Rows in each hour of the day. The hours with the fewest rows, `floor` or more together, have their mean."""
    counts = np.bincount(hours, minlength=HOURS).astype(np.float64)
    order = np.argsort(counts, kind="stable")
    merged = int((counts < floor).sum())
    while 0 < merged < HOURS and counts[order[:merged]].sum() < floor:
        merged += 1
    counts[order[:merged]] = counts[order[:merged]].mean() if merged else 0.0
    return [round(count, 1) for count in counts.tolist()]


def rank_correlation(values: NDArray[np.float64], floor: int) -> list[list[float]]:
    """Spearman's rank correlations of the columns, rounded to three digits.

    They are 0 for a column in which fewer than `floor` rows differ from its most frequent value: they would tell the
    ranks of these rows in all other columns.
    """
    ranks = np.column_stack([rankdata(column) for column in values.T])
    centred = ranks - ranks.mean(axis=0)
    differ = np.array([len(column) - np.unique(column, return_counts=True)[1].max() for column in values.T])
    centred[:, differ < floor] = 0.0
    lengths = np.sqrt((centred**2).sum(axis=0))
    scaled = np.divide(centred, lengths, out=np.zeros_like(centred), where=lengths > 0)
    found = np.clip(scaled.T @ scaled, -1.0, 1.0)
    np.fill_diagonal(found, 1.0)
    return [[round(value, _CORRELATION_DIGITS) + 0.0 for value in row] for row in found.tolist()]


def decimals(values: NDArray[np.float64]) -> int:
    """The digits after the point with which every value is exact, at most six."""
    for digits in range(MAX_DECIMALS):
        if np.array_equal(np.round(values, digits), values):
            return digits
    return MAX_DECIMALS
