"""Edges of quantile bins and the hours of a day.

Imports numpy alone: the drift check, which needs these, would otherwise import scikit-learn for seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

HOURS = 24
SECONDS_PER_HOUR = 3600


def quantile_edges(values: ArrayLike, levels: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The edges at the quantiles `levels`: ascending, distinct, at least one value in each bin.

    Returns fewer edges than levels if many values are equal, or if there are few values.
    """
    return edges_of_sorted(np.sort(np.asarray(values, dtype=np.float64)), levels)


def edges_of_sorted(values: NDArray[np.float64], levels: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """`quantile_edges` of ascending values."""
    edges: NDArray[np.float64] = np.unique(sorted_quantiles(values, levels)) if len(levels) else np.empty(0)
    return occupied_edges(edges, np.searchsorted(values, edges, side="left"))


def occupied_edges(edges: NDArray[np.float64], below: NDArray[np.intp]) -> NDArray[np.float64]:
    """Those of ascending `edges` that end a bin with a value; `below` are the numbers of values below each edge."""
    occupied: NDArray[np.bool_] = np.diff(below, prepend=0) > 0
    return edges[occupied]


def sorted_quantiles(values: NDArray[np.float64], levels: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """The bits of `np.quantile` of ascending finite values, without a further pass over them.

    As there, a value between two others is computed from the nearer one.
    """
    places = (len(values) - 1) * np.asarray(levels, dtype=np.float64)
    lower = np.floor(places).astype(np.intp)
    low, high = values[lower], values[np.minimum(lower + 1, len(values) - 1)]
    share, gap = places - lower, high - low
    made: NDArray[np.float64] = np.where(share >= 0.5, high - gap * (1 - share), low + gap * share)
    return made
