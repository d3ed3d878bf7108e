"""Calls a function for items in order, a few ahead of the one that is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def read_ahead(call: Callable[[A], R], items: Iterable[A], *, at_once: int) -> Iterator[R]:
    """The results in the order of the items. At most `at_once` calls run, and no more results wait than that.

    An executor's `map` would keep the results of all items that are not yet used.
    """
    left = iter(items)
    with ThreadPoolExecutor(at_once, thread_name_prefix="read-ahead") as pool:
        running: deque[Future[R]] = deque(pool.submit(call, item) for item in islice(left, at_once))
        try:
            while running:
                found = running.popleft().result()
                running.extend(pool.submit(call, item) for item in islice(left, 1))
                yield found
        finally:
            for waiting in running:
                waiting.cancel()
