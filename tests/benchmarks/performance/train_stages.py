"""Times the stages of one training run of train_ours, and two floors on the same rows.

`train_stages FOLDER RATIO` prints JSON: the seconds of each stage that reasons.py names, of the floors `parquet` and
`pass`, and `passes`, how often the fit went over all rows. The stages add up to the run. A stage has the time of the
calling thread, without that of the stages within it; where the caller waits for threads that read and compute in turn,
its time is divided as theirs is. The timers wrap functions of the project, and change nothing that these compute.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.model import binning, calibration_line, stored_rows, threshold, threshold_evidence
from ml.model.regression import columns, newton, synthetic_frauds
from ml.model.regression.design import SLICE
from ml.model.thread_map import thread_map
from ml.steps.prepared_rows import PreparedRows
from tests.benchmarks.performance import reasons, train_ours

TRIES = 3


class Timers:
    """Seconds by stage, of one run in one thread that may share work among others."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self._stack: list[str] = []
        self._since = 0.0
        self._caller = threading.get_ident()
        self._lock = threading.Lock()
        self._threads: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Adds the time of the block to a stage, less that of the stages within it."""
        began = time.perf_counter()
        if threading.get_ident() != self._caller:
            yield
            with self._lock:
                self._threads[name] += time.perf_counter() - began
            return
        self._switch(began)
        self._stack.append(name)
        self.calls[name] += 1
        try:
            yield
        finally:
            self._switch(time.perf_counter())
            self._stack.pop()

    def _switch(self, now: float) -> None:
        if self._stack:
            self.seconds[self._stack[-1]] += now - self._since
        self._since = now

    def timed(self, stage: str | Callable[..., str], call: Callable[..., Any]) -> Callable[..., Any]:
        """The function as part of a stage, which its arguments may name."""

        def run(*given: Any, **named: Any) -> Any:
            with self.stage(stage if isinstance(stage, str) else stage(*given, **named)):
                return call(*given, **named)

        return run

    def divided(self, stage: str) -> Callable[..., list[Any]]:
        """`thread_map` for calls that also read: the caller's time is divided as that of the threads."""

        def run(call: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
            self._threads.clear()
            before = self.seconds[stage]
            with self.stage(stage):
                found = thread_map(self.timed(stage, call), items)
            if self._threads[stage]:  # a single item ran in the calling thread
                reading = (self.seconds[stage] - before) * min(1.0, self._threads["read"] / self._threads[stage])
                self.seconds[stage] -= reading
                self.seconds["read"] += reading
            return found

        return run


def _of_rows(stage: str) -> Callable[..., str]:
    """The stage of a pass over rows, which is `sample` for those of the sample: only they have weights."""
    return lambda rows, *_: stage if rows.weights is None else "sample"


@contextmanager
def timing(timers: Timers) -> Iterator[None]:
    """Times the stages of the fits in the block."""
    wrapped: list[tuple[Any, str, str | Callable[..., str]]] = [
        (PreparedRows, "__getitem__", "read"),
        (PreparedRows, "block", "read"),
        (PreparedRows, "frame", "read"),
        (binning, "quantile_edges", "bin"),
        (synthetic_frauds, "draw", "neighbours"),
        (newton.Rows, "sample", "sample"),
        (newton, "fit", "solve"),
        (newton, "loss_of", _of_rows("gradients")),
        (newton, "add_curvature_of", _of_rows("curvature")),
        (newton.SyntheticSums, "loss", "synthetic"),
        (newton.SyntheticSums, "curvature", "synthetic"),
        (threshold, "choose", "threshold"),
        (threshold_evidence, "expected", "threshold"),
        (calibration_line, "fit", "calibration"),
    ]
    with ExitStack() as stack:
        for owner, name, stage in wrapped:
            stack.enter_context(patch.object(owner, name, timers.timed(stage, getattr(owner, name))))
        stack.enter_context(patch.object(columns, "thread_map", timers.divided("scale")))
        stack.enter_context(patch.object(stored_rows, "thread_map", timers.divided("score")))
        with timers.stage("other"):
            yield


def stages(folder: Path, ratio: float) -> dict[str, float]:
    """Trains as train_ours does; the seconds of each stage, and the passes of the fit over all rows."""
    training, timers = train_ours.settings(ratio), Timers()
    with timing(timers):
        train_ours.trained(folder, training)
    passes = timers.calls["gradients"] + timers.calls["curvature"]
    return {stage: timers.seconds[stage] for stage in reasons.TRAINING.stages} | {"passes": passes}


def floors(folder: Path) -> dict[str, float]:
    """The best time of reading the files once with all threads, and of one pass over the scaled values of a fit."""
    rows = {part: pq.ParquetFile(folder / f"{part}.parquet").metadata.num_rows for part in ("train", "validation")}
    names = [*train_ours.settings(0.0).columns.inputs, "label"]

    def read() -> list[pa.Table]:
        return [pq.read_table(folder / f"{part}.parquet", columns=names) for part in rows]

    values = np.ones((rows["train"], len(names) - 1))
    places = [slice(start, start + SLICE) for start in range(0, len(values), SLICE)]
    return {
        "parquet": _best(read),
        "pass": _best(lambda: thread_map(lambda place: float(values[place].sum()), places)),
    }


def _best(call: Callable[[], object]) -> float:
    found = []
    for _ in range(TRIES):
        began = time.perf_counter()
        call()
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> int:
    """Prints one line of JSON."""
    folder, ratio = Path(sys.argv[1]), float(sys.argv[2])
    print(json.dumps(stages(folder, ratio) | floors(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
