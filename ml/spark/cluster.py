"""What the jobs need of a cluster: a function of each item, results in order, and data that stays on the executors.

The partitions are the caller's items, so results do not depend on the number of executors. An item whose executor is
lost is computed again from its inputs. Nothing here knows rows or models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Kept(Protocol):
    """Results that stay on the executors, one for each item."""

    def each(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        """The function of each result, in order of the items."""

    def one_by_one(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        """The same, for values that are large: the caller's memory holds few at once."""

    def then(self, call: Callable[[Any], Any]) -> Kept:
        """The function of each result, kept in turn."""

    def exchange(self, call: Callable[[Any], Iterable[tuple[int, Any]]], buckets: int) -> Kept:
        """As `Cluster.exchange`, of the pieces that the function gives for each result."""

    def release(self) -> None:
        """Frees the executors' memory."""


class Cluster(Protocol):
    """Executors."""

    def each(self, call: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The function of each item, in order."""

    def keep(self, call: Callable[[Item], Any], items: Sequence[Item]) -> Kept:
        """The function of each item, kept on the executors."""

    def exchange(self, call: Callable[[Item], Iterable[tuple[int, Any]]], items: Sequence[Item], buckets: int) -> Kept:
        """Sends each pair (bucket, piece) that the function gives for an item to its bucket, and keeps these.

        A bucket is the list of its pieces, in order of the items and as the function gave them.
        """


class OneProcess:
    """The same without executors."""

    def each(self, call: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The function of each item, in order."""
        return map(call, items)

    def keep(self, call: Callable[[Item], Any], items: Sequence[Item]) -> Kept:
        """The function of each item."""
        return _InMemory(list(map(call, items)))

    def exchange(self, call: Callable[[Item], Iterable[tuple[int, Any]]], items: Sequence[Item], buckets: int) -> Kept:
        """The pieces of each bucket, in order."""
        return _InMemory([*items]).exchange(call, buckets)


class _InMemory:
    def __init__(self, results: list[Any]) -> None:
        self._results = results

    def each(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        return map(call, self._results)

    def one_by_one(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        return map(call, self._results)

    def then(self, call: Callable[[Any], Any]) -> Kept:
        return _InMemory(list(map(call, self._results)))

    def exchange(self, call: Callable[[Any], Iterable[tuple[int, Any]]], buckets: int) -> Kept:
        made: list[list[Any]] = [[] for _ in range(buckets)]
        for result in self._results:
            for bucket, piece in call(result):
                made[bucket].append(piece)
        return _InMemory(made)

    def release(self) -> None:
        self._results = []
