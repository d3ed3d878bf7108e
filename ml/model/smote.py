"""SMOTE for scaled values and codes of bins and levels: interpolates values, copies codes from one parent.

For an imbalanced-learn Pipeline, which calls `fit_resample` when fitting and skips it when scoring. Validation and test
rows are never resampled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state


class OneParentSMOTE(BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """Adds synthetic frauds (label 1) until there are `ratio` of them to each legitimate row (label 0).

    A synthetic row is `a + u * (b - a)`, except in the last `copied` columns, which are copied from `a`. `a` is a
    fraud, `b` one of its `neighbours` nearest frauds in the interpolated columns, `u` uniform on [0, 1)
    (Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique"). imbalanced-learn's SMOTENC would take
    the codes by majority vote of all neighbours and include them in the distance. Without copied columns the rows
    equal those of imbalanced-learn's SMOTE with the same `random_state`.
    """

    def __init__(self, *, ratio: float, neighbours: int, copied: int, random_state: int) -> None:
        self.ratio = ratio
        self.neighbours = neighbours
        self.copied = copied
        self.random_state = random_state

    def fit_resample(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """The input rows in their order, then the synthetic rows; none are added if the ratio is already reached.

        `parents_` holds, for each synthetic row, the position of `a` among the input rows.

        Raises:
            ValueError: there are not more frauds than `neighbours`.
        """
        rows, labels = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.int8)
        frauds = np.flatnonzero(labels == 1)
        wanted = int(self.ratio * (len(labels) - len(frauds))) - len(frauds)
        if len(frauds) <= self.neighbours:
            raise ValueError(
                f"resampling with {self.neighbours} neighbours needs at least {self.neighbours + 1} frauds among the "
                f"training rows (got {len(frauds)}): widen the window, or lower resampling.neighbours"
            )
        if wanted <= 0:
            self.parents_ = np.empty(0, dtype=np.intp)
            return rows, labels
        values = rows[frauds, : rows.shape[1] - self.copied]
        search = NearestNeighbors(n_neighbors=self.neighbours + 1).fit(values)
        nearest = search.kneighbors(values, return_distance=False)[:, 1:]  # the first is the row itself
        random = check_random_state(self.random_state)
        pairs = random.randint(low=0, high=nearest.size, size=wanted)
        steps = random.uniform(size=wanted)[:, np.newaxis]
        first, second = np.divmod(pairs, self.neighbours)[0], nearest.ravel()[pairs]
        synthetic = rows[frauds[first]]
        synthetic[:, : values.shape[1]] += steps * (values[second] - values[first])
        self.parents_ = frauds[first]
        return np.vstack([rows, synthetic]), np.concatenate([labels, np.ones(wanted, dtype=np.int8)])
