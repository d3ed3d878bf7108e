"""Computes a profile from transactions: figures by class from which no transaction can be recovered.

Every figure is made of at least `floor` transactions. The values of a column are sorted and divided into blocks of at
least `floor` neighbours, and its quantiles are interpolated between the means of the blocks (microaggregation: Domingo-
Ferrer and Mateo-Sanz 2002, "Practical data-oriented microaggregation for statistical disclosure control", IEEE TKDE
14(1)). The smallest and the largest value are means of a block, too. Values of text columns that occur less often are
counted together, or left out if they are still fewer, and so are hours of the day. Correlations are those of ranks,
rounded.
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
        "rank_correlation": rank_correlation(rows.values),
    }


def quantiles(values: NDArray[np.float64], floor: int) -> list[float]:
    """The values at QUANTILE_LEVELS, interpolated between the means of blocks of at least `floor` sorted values."""
    blocks = np.array_split(np.sort(values), len(values) // floor)
    means = np.array([block.mean() for block in blocks])
    sizes = np.array([len(block) for block in blocks])
    middles = (np.cumsum(sizes) - sizes / 2) / len(values)
    found = np.interp(QUANTILE_LEVELS, middles, means)
    rounded = [float(f"{value:.{_DIGITS}g}") for value in found.tolist()]
    return list(accumulate((value + 0.0 for value in rounded), max))


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


def rank_correlation(values: NDArray[np.float64]) -> list[list[float]]:
    """Spearman's rank correlations of the columns, 0 for a column of one value, rounded to three digits."""
    ranks = np.column_stack([rankdata(column) for column in values.T])
    centred = ranks - ranks.mean(axis=0)
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
