"""The frauds that SMOTE adds, as pairs of frauds and steps between them: no synthetic row is ever built.

A synthetic row is `a + step * (b - a)` in its values and has the codes of `a`: `a` is a fraud, `b` one of its nearest
frauds, `step` uniform on [0, 1) (Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique"). Its log-odds
are interpolated as its values are, so everything that a fit needs of all synthetic rows is a few sums per pair. The
pairs are those that OneParentSMOTE and imbalanced-learn's SMOTE draw with the same seed; among frauds that are equally
far away, they may be others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ml.model.regression.design import Array, Design, by_code
from ml.model.thread_map import thread_map

_SPARE_CANDIDATES = 4  # because rounded distances may have another order than exact ones
_DISTANCES_AT_ONCE = 1 << 22


@dataclass(frozen=True, kw_only=True)
class SyntheticFrauds:
    """Synthetic rows between the rows of `frauds`.

    `neighbours` has for each fraud the places of its nearest ones. Synthetic row i lies `steps[i]` of the way from the
    first to the second fraud of pair `pairs[i]`; pair p is between fraud p // k and its neighbour p % k, of k each.
    """

    frauds: Design
    neighbours: NDArray[np.intp]
    pairs: NDArray[np.int64]
    steps: Array

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def _first(self) -> NDArray[np.intp]:
        return np.repeat(np.arange(len(self.neighbours)), self.neighbours.shape[1])

    def part(self, chosen: slice) -> SyntheticFrauds:
        """The chosen synthetic rows."""
        return SyntheticFrauds(
            frauds=self.frauds, neighbours=self.neighbours, pairs=self.pairs[chosen], steps=self.steps[chosen]
        )

    def products(self, weights: Array) -> Array:
        """The weighted sum of each synthetic row's columns."""
        whole = self.frauds.products(weights)
        by_values = self.frauds.values @ weights[: self.frauds.values.shape[1]]
        start = whole[self._first]
        difference = by_values[self.neighbours.ravel()] - by_values[self._first]
        made: Array = start[self.pairs] + self.steps * difference[self.pairs]
        return made

    def per_pair(self, weights: Array, powers: int) -> Array:
        """Sums over each pair's synthetic rows of weight * step ** power, one row for each power from 0."""
        made, total = [], self.neighbours.size
        for _ in range(powers):
            made.append(by_code(self.pairs, weights, total))
            weights = weights * self.steps
        return np.array(made)

    def sums(self, per_pair: Array) -> Array:
        """The weighted sum of each column, from sums `per_pair` of the powers 0 and 1."""
        zeroth, first = per_pair
        count, parent = len(self.neighbours), self._first
        to_parents = by_code(parent, zeroth - first, count)
        to_neighbours = by_code(self.neighbours.ravel(), first, count)
        return self.frauds.sums(to_parents + to_neighbours, by_code(parent, zeroth, count))

    def moments(self, per_pair: Array) -> Array:
        """The weighted sums of products of each two columns, from sums `per_pair` of the powers 0 to 2."""
        zeroth, first, second = per_pair
        count, parent, neighbour = len(self.neighbours), self._first, self.neighbours.ravel()
        values = self.frauds.values

        def between(entries: Array, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> sparse.csr_array:
            return sparse.csr_array((entries, (rows, columns)), shape=(count, count))

        mixed = between(first - second, parent, neighbour)
        weights = between(zeroth - 2 * first + second, parent, parent) + between(second, neighbour, neighbour)
        corner = values.T @ np.asarray((weights + mixed + mixed.T) @ values)
        of_values = between(zeroth - first, parent, parent) + between(first, parent, neighbour)
        return self.frauds.assembled(corner, np.asarray(of_values @ values), by_code(parent, zeroth, count))


def draw(frauds: Design, *, wanted: int, neighbours: int, seed: int) -> SyntheticFrauds:
    """Draws `wanted` synthetic rows, each between a fraud and one of its `neighbours` nearest ones.

    Raises:
        ValueError: there are not more frauds than `neighbours`.
    """
    count = len(frauds.values)
    if count <= neighbours:
        raise ValueError(
            f"resampling with {neighbours} neighbours needs at least {neighbours + 1} frauds among the training rows "
            f"(got {count}): widen the window, or lower resampling.neighbours"
        )
    random = np.random.RandomState(seed)
    pairs = random.randint(low=0, high=count * neighbours, size=wanted)
    steps = random.uniform(size=wanted)
    return SyntheticFrauds(frauds=frauds, neighbours=nearest(frauds.values, neighbours), pairs=pairs, steps=steps)


def nearest(values: Array, count: int) -> NDArray[np.intp]:
    """The places of the `count` other rows that are nearest to each row, nearest first.

    Which of more equal rows than `count` are taken is not defined, and makes no difference to what is interpolated.
    """
    rows = len(values)
    squares = np.einsum("ij,ij->i", values, values)
    kept = min(count + _SPARE_CANDIDATES, rows - 1)
    found = np.empty((rows, count), dtype=np.intp)
    size = max(1, _DISTANCES_AT_ONCE // rows)

    def find(start: int) -> None:
        own = np.arange(start, min(start + size, rows))
        rounded = squares - 2 * (values[own] @ values.T)  # less the row's own square, which does not change the order
        rounded[np.arange(len(own)), own] = np.inf
        near = np.sort(np.argpartition(rounded, kept - 1, axis=1)[:, :kept], axis=1)
        exact = ((values[near] - values[own][:, np.newaxis]) ** 2).sum(axis=2)
        order = np.argsort(exact, axis=1, kind="stable")[:, :count]
        found[own] = np.take_along_axis(near, order, axis=1)

    thread_map(find, range(0, rows, size))
    return found
