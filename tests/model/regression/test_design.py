"""Sums over codes equal those of the one-hot columns that the codes stand for."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model.regression.design import Design, in_slices


def sample(sizes: tuple[int, ...], rows: int = 50, seed: int = 0) -> Design:
    """Random values and codes."""
    random = np.random.default_rng(seed)
    codes = tuple(random.integers(0, size, rows, dtype=np.int32) for size in sizes)
    return Design(values=random.standard_normal((rows, 3)), codes=codes, sizes=sizes)


def dense(design: Design) -> NDArray[np.float64]:
    """Every column of a design."""
    blocks = [np.eye(size)[codes] for codes, size in zip(design.codes, design.sizes, strict=True)]
    return np.column_stack([design.values, np.ones(len(design.values)), *blocks])


@given(st.lists(st.integers(1, 9), max_size=4).map(tuple), st.integers(1, 60), st.integers(0, 99))
def test_sums_are_those_of_one_hot_columns(sizes: tuple[int, ...], rows: int, seed: int) -> None:
    """Products, sums and moments, for any number of blocks."""
    design, random = sample(sizes, rows, seed), np.random.default_rng(seed + 1)
    columns = dense(design)
    assert columns.shape == (rows, design.width)
    weights, counts = random.standard_normal(design.width), random.random(rows)
    np.testing.assert_allclose(design.products(weights), columns @ weights, atol=1e-12)
    np.testing.assert_allclose(design.sums(counts, counts), counts @ columns, atol=1e-12)
    moments = design.moments(counts)
    np.testing.assert_allclose(moments, columns.T @ (counts[:, np.newaxis] * columns), atol=1e-12)
    assert np.array_equal(moments, moments.T)


def test_rows_of_a_design_keep_its_columns() -> None:
    """Chosen by place or as a slice; a code that no chosen row has still has a column."""
    design = sample((4, 2))
    for chosen in (np.array([7, 3, 3]), slice(5, 9)):
        part = design.rows(chosen)
        assert part.width == design.width
        assert np.array_equal(dense(part), dense(design)[chosen])


@pytest.mark.parametrize("rows", [0, 1, 10, 11, 1_000])
def test_slices_cover_all_rows_in_order(rows: int) -> None:
    """Each row once, whatever thread comes first."""
    with in_slices() as each:
        found = list(each(lambda chosen: list(range(rows))[chosen], rows, 10))
    assert [row for part in found for row in part] == list(range(rows))
    assert all(len(part) <= 10 for part in found)


def test_few_results_are_held_at_once() -> None:
    """A slow reader of large results does not fill the memory with them."""
    started: list[int] = []
    with in_slices() as each:
        results = each(lambda chosen: started.append(chosen.start), 1_000, 1)
        next(results)
        assert len(started) <= 2 * (os.cpu_count() or 1) + 1
        assert len(list(results)) == 999


def test_an_error_in_a_slice_is_raised() -> None:
    """Not lost in a thread."""
    with in_slices() as each, pytest.raises(ZeroDivisionError):
        list(each(lambda chosen: 1 // chosen.start, 3, 1))
