"""Quantiles by counting in partitions are those that numpy computes from all values, to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model import binning
from ml.spark import order_statistics
from ml.spark.order_statistics import Counts, Request

LEVELS = (0.0, 0.1, 0.25, 0.5, 0.9, 0.995, 1.0)


def selected(parts: list[NDArray[np.float64]], ranks: list[int]) -> dict[int, float]:
    """The values at `ranks` of one column in `parts`."""

    def count_all(requests: Mapping[str, Request]) -> Iterator[dict[str, Counts]]:
        for part in parts:
            yield {name: order_statistics.count(part, request) for name, request in requests.items()}

    return order_statistics.select({"x": ranks}, count_all)["x"]


@given(st.lists(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30), min_size=1))
def test_quantiles_are_those_of_numpy(parts: list[list[float]]) -> None:
    """Any finite numbers in any partitions."""
    arrays = [np.asarray(part) for part in parts]
    whole = np.concatenate(arrays)
    values = selected(arrays, order_statistics.quantile_ranks(len(whole), LEVELS))
    with np.errstate(over="ignore", invalid="ignore"):  # between the largest numbers, numpy overflows too
        found, expected = order_statistics.quantiles(len(whole), LEVELS, values), np.quantile(whole, LEVELS)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("whole", [1, 1 << 20])
def test_many_values_need_several_passes(monkeypatch: pytest.MonkeyPatch, whole: int) -> None:
    """With few values that may be counted whole, the bits are found ten at a time."""
    monkeypatch.setattr(order_statistics, "_COUNTED_WHOLE", whole)
    values = np.random.default_rng(0).lognormal(3, 2, 20_000).round(2) - 5
    ranks = [0, 17, 5_000, 5_001, 19_999]
    assert [*selected(np.array_split(values, 7), ranks).values()] == np.sort(values)[ranks].tolist()


def test_occupied_edges_are_those_of_the_bins() -> None:
    """The edges that `quantile_edges` keeps, and the counts between them, of a column with many equal values."""
    values = np.repeat([0.0, 1.0, 2.0, 7.0], [50, 3, 40, 7])
    edges = np.unique(np.quantile(values, LEVELS))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    kept, merged = order_statistics.occupied(edges, counts)
    expected = binning.quantile_edges(values, LEVELS)
    np.testing.assert_array_equal(kept, expected)
    bins = np.searchsorted(expected, values, side="right")
    np.testing.assert_array_equal(merged, np.bincount(bins, minlength=len(expected) + 1))
