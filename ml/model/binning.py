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
    occupied: NDArray[np.bool_] = np.diff(np.searchsorted(np.sort(array), edges, side="left"), prepend=0) > 0
    return edges[occupied]
