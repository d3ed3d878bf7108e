"""Results come in order, and few are computed before they are used."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ml.shards.read_ahead import read_ahead


def test_results_are_in_order_and_few_wait() -> None:
    """No item is taken long before its result is."""
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    used = []
    for found in read_ahead(lambda number: number * number, items(), at_once=3):
        used.append(found)
        assert len(taken) <= len(used) + 3
    assert used == [number * number for number in range(20)]


def test_at_most_so_many_run_at_once() -> None:
    """And that many do: each call waits for another one."""
    both = threading.Barrier(2, timeout=60)
    assert [*read_ahead(lambda number: both.wait() * 0 + number, range(6), at_once=2)] == [*range(6)]


def test_error_of_a_call_ends_the_iteration() -> None:
    """It is raised where its result would come."""
    found = read_ahead(lambda number: 1 // number, [1, 0, 1], at_once=1)
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError):
        next(found)
