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
    array = np.asarray(values, dtype=np.float64)
    edges: NDArray[np.float64] = np.unique(np.quantile(array, levels)) if len(levels) else np.empty(0)
    return occupied_edges(edges, np.searchsorted(np.sort(array), edges, side="left"))


def occupied_edges(edges: NDArray[np.float64], below: NDArray[np.intp]) -> NDArray[np.float64]:
    """Those of ascending `edges` that end a bin with a value; `below` are the numbers of values below each edge."""
    occupied: NDArray[np.bool_] = np.diff(below, prepend=0) > 0
    return edges[occupied]
