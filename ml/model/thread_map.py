"""Calls a function for many items on all cores; numpy, pyarrow and files release Python's lock."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def thread_map(call: Callable[[A], R], items: Sequence[A]) -> list[R]:
    """The results in the order of the items, the same on any number of cores; as many calls run at once."""
    if len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(call, items))
