"""Results of calls on all cores are in the order of the items."""

from __future__ import annotations

import os

import pytest

from ml.model.thread_map import thread_map


@pytest.mark.parametrize("cores", [1, 3])
def test_results_are_in_the_order_of_the_items(monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    """On any number of cores, and an error of a call is raised."""
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert thread_map(lambda item: item * item, range(50)) == [item * item for item in range(50)]
    with pytest.raises(ZeroDivisionError):
        thread_map(lambda item: 1 // item, range(3))
