"""A Spark application that compares a cluster of Spark with one process; not a test itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from ml.spark.cluster import Cluster, OneProcess
from ml.spark.spark_cluster import connect

ITEMS = list(range(7))
BUCKETS = 3


def results(cluster: Cluster) -> list[object]:
    """What each operation gives."""
    kept, exchanged = cluster.keep(_squares, ITEMS), cluster.exchange(_pieces, ITEMS, BUCKETS)
    again, sent = kept.then(_reversed), kept.exchange(_by_parity, 2)
    made: list[object] = [*again.one_by_one(_itself), *sent.each(_itself)]
    made += [
        *cluster.each(_squares, ITEMS),
        *kept.each(sum),
        *exchanged.each(_itself),
        *exchanged.each(len),
    ]
    kept.release()
    exchanged.release()
    return made


def _squares(item: int) -> list[int]:
    return [number**2 for number in range(item + 1)]


def _pieces(item: int) -> Iterator[tuple[int, str]]:
    for number in range(item):
        yield (item + number) % BUCKETS, f"{item}-{number}"


def _reversed(numbers: list[int]) -> list[int]:
    return numbers[::-1]


def _by_parity(numbers: list[int]) -> Iterator[tuple[int, int]]:
    for number in numbers:
        yield number % 2, number


def _itself(bucket: list[Any]) -> list[Any]:
    return bucket


if __name__ == "__main__":
    with connect() as cluster:
        found = results(cluster)
    sys.exit(0 if found == results(OneProcess()) else f"{found} instead of {results(OneProcess())}")
