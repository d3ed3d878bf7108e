"""Exact order statistics and quantiles of columns that are spread over partitions, by counting.

A number's bits, read as an unsigned integer, have the order of the numbers (after a change of sign bits). Each pass
counts, for the values whose leading bits are those of a wanted rank, the next bits; once few values are left, it counts
all their bits. So no pass sends more than a bounded number of counts, and a quantile is the one that numpy computes
from all values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ml.model.binning import occupied_edges

Keys = NDArray[np.uint64]
Array = NDArray[np.float64]
Counts = tuple[Keys, NDArray[np.int64]]
"""Leading bits that occur, ascending, and how often."""
_BITS, _FIRST_BITS, _NEXT_BITS = 64, 16, 10
_COUNTED_WHOLE = 1 << 20  # values: so many are counted by all of their bits
_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a pass counts of one column: the first `after` bits of values whose first `before` bits are in `heads`."""

    before: int
    after: int
    heads: Keys


def keys_of(values: Array) -> Keys:
    """Unsigned integers in the order of `values`, which are finite; -0.0 and 0.0 have one."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64)
    made: Keys = np.where(bits & _SIGN, ~bits, bits | _SIGN)
    return made


def values_of(keys: Keys) -> Array:
    """The inverse of `keys_of`."""
    made: Array = np.where(keys & _SIGN, keys ^ _SIGN, ~keys).view(np.float64)
    return made


def count(values: Array, request: Request) -> Counts:
    """The counts of one partition's values."""
    keys = keys_of(values)
    if not request.before:
        counts = np.bincount((keys >> np.uint64(_BITS - request.after)).astype(np.intp))
        found = np.flatnonzero(counts)
        return found.astype(np.uint64), counts[found].astype(np.int64)
    heads = keys >> np.uint64(_BITS - request.before)
    places = np.minimum(np.searchsorted(request.heads, heads), len(request.heads) - 1)
    kept: Keys
    kept, counts = np.unique(
        keys[request.heads[places] == heads] >> np.uint64(_BITS - request.after), return_counts=True
    )
    return kept, counts.astype(np.int64)


Pass = Callable[[Mapping[str, Request]], Iterable[Mapping[str, Counts]]]
"""Counts in every partition; gives the counts of each, by column."""


def select(wanted: Mapping[str, Sequence[int]], count_all: Pass) -> dict[str, dict[int, float]]:
    """The values at some places of each sorted column.

    Args:
        wanted: places from 0, by column.
    """
    searches = {name: _Search(ranks) for name, ranks in wanted.items() if ranks}
    while open_ := {name: search.request() for name, search in searches.items() if not search.ended}:
        totals: dict[str, list[Counts]] = {name: [] for name in open_}
        for part in count_all(open_):
            for name, counts in part.items():
                totals[name].append(counts)
        for name, parts in totals.items():
            searches[name].narrow(open_[name], _merged(parts))
    return {name: searches[name].values() if name in searches else {} for name in wanted}


def quantile_ranks(rows: int, levels: Sequence[float]) -> list[int]:
    """The places whose values decide the quantiles of `rows` values."""
    places = np.floor((rows - 1) * np.asarray(levels, dtype=np.float64)).astype(np.int64)
    return sorted({*places.tolist(), *np.minimum(places + 1, rows - 1).tolist()})


def quantiles(rows: int, levels: Sequence[float], values: Mapping[int, float]) -> Array:
    """The quantiles as numpy.quantile interpolates them, from the values at `quantile_ranks`."""
    made = []
    for virtual in (rows - 1) * np.asarray(levels, dtype=np.float64):
        place = int(np.floor(virtual))
        pair = [values[place], values[min(place + 1, rows - 1)]]
        made.append(np.quantile(pair, virtual - place))
    return np.asarray(made, dtype=np.float64)


def occupied(edges: Array, counts: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """The edges that end a bin with a value, and the counts of their bins, given those of all bins of `edges`."""
    kept = occupied_edges(edges, np.cumsum(counts[:-1]))
    starts = np.searchsorted(edges, kept) + 1
    return kept, np.add.reduceat(counts, [0, *starts.tolist()])


@dataclass
class _Search:
    """The leading bits that are known of the value at each rank, and its rank among the values with these."""

    ranks: Sequence[int]
    bits: int = 0
    left: int | None = None  # values that have the leading bits of a wanted one
    heads: dict[int, int] = field(default_factory=dict)
    within: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.heads, self.within = dict.fromkeys(self.ranks, 0), {rank: rank for rank in self.ranks}

    @property
    def ended(self) -> bool:
        return self.bits == _BITS

    def request(self) -> Request:
        step = _FIRST_BITS if self.left is None else _NEXT_BITS
        after = _BITS if self.left is not None and self.left <= _COUNTED_WHOLE else min(self.bits + step, _BITS)
        heads = np.asarray(sorted(set(self.heads.values())), dtype=np.uint64)
        return Request(before=self.bits, after=after, heads=heads)

    def narrow(self, asked: Request, counts: Counts) -> None:
        found, numbers = counts
        shift = np.uint64(asked.after - asked.before)
        parents = found >> shift if asked.before else np.zeros(len(found), dtype=np.uint64)
        ends = np.cumsum(numbers)
        chosen = set()
        for rank in self.ranks:
            first = int(np.searchsorted(parents, np.uint64(self.heads[rank])))
            below = int(ends[first - 1]) if first else 0
            place = int(np.searchsorted(ends, below + self.within[rank], side="right"))
            self.within[rank] -= (int(ends[place - 1]) if place else 0) - below
            self.heads[rank] = int(found[place])
            chosen.add(place)
        self.bits, self.left = asked.after, int(numbers[sorted(chosen)].sum())

    def values(self) -> dict[int, float]:
        keys = np.asarray([self.heads[rank] for rank in self.ranks], dtype=np.uint64)
        return dict(zip(self.ranks, values_of(keys).tolist(), strict=True))


def _merged(parts: Sequence[Counts]) -> Counts:
    found, places = np.unique(np.concatenate([part[0] for part in parts]), return_inverse=True)
    numbers = np.concatenate([part[1] for part in parts])
    total = np.zeros(len(found), dtype=np.int64)
    np.add.at(total, places, numbers)
    return found, total
