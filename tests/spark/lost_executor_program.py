"""A Spark application that trains, and stops in the middle of the fit until its test has ended an executor; not a test.

`lost_executor_program.py BASE MODEL SIGNALS` reads below BASE and writes the model's files to MODEL. In the folder
SIGNALS it writes one file for each computation of rows that stay on executors, with the process id of the executor, and
the file `waiting` before the third pass of Newton's method over these rows; it goes on when the file `go` exists.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ml.model.run_kinds import FIT
from ml.spark import train
from ml.spark.cluster import Cluster, Kept
from ml.spark.spark_cluster import connect
from tests.waiting import wait_until

PASSES_BEFORE = 3
"""Of a training: one that samples, and two of the fit."""
ATTEMPTS = 50_000
"""The time limit of the test ends the program sooner."""


class Stopping:
    """A cluster whose kept results can be read or sent `passes` times before the program waits."""

    def __init__(self, cluster: Cluster, signals: Path, passes: int) -> None:
        self._cluster, self._signals, self._before = cluster, signals, passes

    def each(self, call: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        """As the cluster's."""
        return self._cluster.each(call, items)

    def keep(self, call: Callable[[Any], Any], items: Sequence[Any]) -> Kept:
        """As the cluster's, and each computation is recorded."""
        kept = self._cluster.keep(partial(_recorded, self._signals, call), items)
        return StoppingRows(kept, self._signals, self._before)

    def exchange(self, call: Callable[[Any], Iterable[tuple[int, Any]]], items: Sequence[Any], buckets: int) -> Kept:
        """As the cluster's."""
        return self._cluster.exchange(call, items, buckets)


class StoppingRows:
    """Kept results of such a cluster."""

    def __init__(self, kept: Kept, signals: Path, passes: int) -> None:
        self._kept, self._signals, self._before, self._passes = kept, signals, passes, 0

    def each(self, call: Callable[[Any], Any]) -> Iterator[Any]:
        """As the cluster's, after the wait where it is due."""
        self._wait_if_due()
        return self._kept.each(call)

    def one_by_one(self, call: Callable[[Any], Any]) -> Iterator[Any]:
        """As the cluster's."""
        return self._kept.one_by_one(call)

    def then(self, call: Callable[[Any], Any]) -> Kept:
        """As the cluster's."""
        return self._kept.then(call)

    def exchange(self, call: Callable[[Any], Iterable[tuple[int, Any]]], buckets: int) -> Kept:
        """As the cluster's, after the wait where it is due."""
        self._wait_if_due()
        return self._kept.exchange(call, buckets)

    def release(self) -> None:
        """As the cluster's."""
        self._kept.release()

    def _wait_if_due(self) -> None:
        if self._passes == self._before:
            (self._signals / "waiting").touch()
            wait_until((self._signals / "go").exists, ATTEMPTS)
        self._passes += 1


def _recorded(signals: Path, call: Callable[[Any], Any], item: Any) -> Any:
    """The executor started the daemon that started this process: its id is the daemon's parent."""
    after_name = Path(f"/proc/{os.getppid()}/stat").read_text("utf-8").rpartition(")")[2].split()
    made = signals / f"computed-{uuid.uuid4()}.part"
    made.write_text(after_name[1], "utf-8")
    made.rename(made.with_suffix(""))
    return call(item)


if __name__ == "__main__":
    base, model, signals = map(Path, sys.argv[1:])
    with connect() as cluster:
        train.train(Stopping(cluster, signals, PASSES_BEFORE), base, model, kind=FIT, champion_sha256="")
