"""Executors of Apache Spark. An item is a partition of an RDD, so that Spark sees to retries and lost executors."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any, TypeVar

from pyspark import RDD, SparkConf, SparkContext, StorageLevel

from ml.spark.cluster import Item, Kept

Result = TypeVar("Result")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def connect() -> Iterator[SparkCluster]:
    """The cluster of the job that `spark-submit` started.

    Executors import the code that the driver imports, from the same folder of their machine. Linear algebra runs on one
    thread: the rounding of a sum depends on how it is split, and an executor's cores have tasks of their own.
    """
    conf = SparkConf().setAppName("fraudops").set("spark.ui.enabled", "false")
    conf.setExecutorEnv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    for name in (*_ONE_THREAD, "PYTHONDONTWRITEBYTECODE"):
        conf.setExecutorEnv(name, "1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    context = SparkContext(conf=conf)
    try:
        context.setLogLevel("ERROR")
        yield SparkCluster(context)
    finally:
        context.stop()


class SparkCluster:
    """Runs each item as one partition."""

    def __init__(self, context: SparkContext) -> None:
        self._context = context

    def each(self, call: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """The function of each item, in order."""
        return iter(self._partitions(items).map(call).collect() if items else [])

    def keep(self, call: Callable[[Item], Any], items: Sequence[Item]) -> Kept:
        """The function of each item, in the executors' memory, and on their disks what exceeds it."""
        return _Stored(self._partitions(items).map(call))

    def exchange(self, call: Callable[[Item], Iterable[tuple[int, Any]]], items: Sequence[Item], buckets: int) -> Kept:
        """The pieces of each bucket, in order of the items and as the function gave them."""

        return _exchanged(self._partitions(items), call, buckets)

    def _partitions(self, items: Sequence[Any]) -> RDD[Any]:
        return self._context.parallelize(items, max(1, len(items)))


class _Stored:
    def __init__(self, rdd: RDD[Any]) -> None:
        self._rdd = rdd.persist(StorageLevel.MEMORY_AND_DISK)

    def each(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        return iter(self._rdd.map(call).collect())

    def one_by_one(self, call: Callable[[Any], Result]) -> Iterator[Result]:
        made: Iterator[Result] = self._rdd.map(call).toLocalIterator(prefetchPartitions=True)
        return made

    def then(self, call: Callable[[Any], Any]) -> Kept:
        return _Stored(self._rdd.map(call))

    def exchange(self, call: Callable[[Any], Iterable[tuple[int, Any]]], buckets: int) -> Kept:
        return _exchanged(self._rdd, call, buckets)

    def release(self) -> None:
        self._rdd.unpersist()


def _exchanged(rdd: RDD[Any], call: Callable[[Any], Iterable[tuple[int, Any]]], buckets: int) -> Kept:
    """A partition has one item, so that its number is the item's."""

    def pieces(number: int, items: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        for item in items:
            for place, (bucket, piece) in enumerate(call(item)):
                yield bucket, ((number, place), piece)

    sent = rdd.mapPartitionsWithIndex(pieces)
    return _Stored(sent.partitionBy(buckets, _itself).mapPartitions(_in_order))


def _itself(bucket: int) -> int:
    return bucket


def _in_order(arrived: Iterable[tuple[int, tuple[tuple[int, int], Any]]]) -> Iterator[list[Any]]:
    yield [piece for _, piece in sorted((sent for _, sent in arrived), key=itemgetter(0))]
