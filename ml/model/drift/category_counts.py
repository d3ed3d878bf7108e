"""Counts the values of a category in the drift reference, and groups rare ones for the tests.

The reference lists every value that its rows have, not only the levels of the model: a value is unseen if none of them
had it. Counts only; a category has no mean and no order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

KIND = "category"
MAX_VALUES = 10_000
"""A reference lists at most so many values of a category, the most frequent ones."""
MIN_TESTED_ROWS = 50
"""Rarer values of the reference are one group in the tests, whose limits hold for counts that are not small."""
UNTESTED = frozenset({"ks", "mean_shift"})
"""Statistics that a category has not: they need an order of its values."""


def reference(name: str, texts: Iterable[str]) -> dict[str, Any]:
    """The category `name` as baseline.json holds it: its values, sorted, and their numbers of rows."""
    return document(name, Counter(texts))


def extended(item: Mapping[str, Any], texts: Iterable[str]) -> dict[str, Any]:
    """The reference `item` with further rows."""
    counts = Counter(dict(zip(item["values"], item["counts"], strict=True)))
    counts.update(texts)
    return document(item["name"], counts)


def document(name: str, counts: Counter[str]) -> dict[str, Any]:
    """The same from the number of rows of each value."""
    kept = sorted(sorted(counts, key=lambda text: (-counts[text], text))[:MAX_VALUES])
    return {
        "name": name,
        "kind": KIND,
        "values": kept,
        "counts": [counts[text] for text in kept],
        "n": sum(counts.values()),
        "missing": 0,
    }


def groups(counts: Sequence[int]) -> NDArray[np.intp]:
    """The group of each value in the tests: a group of its own, or the last one of all values that are rare."""
    frequent = np.asarray(counts) >= MIN_TESTED_ROWS
    return np.where(frequent, np.cumsum(frequent) - 1, np.count_nonzero(frequent))


def grouped(counts: Sequence[int], group: NDArray[np.intp]) -> NDArray[np.float64]:
    """The rows of each group."""
    return np.asarray(np.bincount(group, weights=np.asarray(counts)), dtype=np.float64)
