"""Scoring a row and a batch, compared with ONNX Runtime, the scikit-learn pipeline and a pass over the batch's memory.

All score with the numbers of one trained model, and the scores are compared. A row's time is the median of many rows,
one after the other; the batch is in memory.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks.performance import train
from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, Measured, alternate, run

ROW_TARGET, BATCH_MEMORY_TARGET = 1.0, 0.2
SINGLE_ROWS, PIPELINE_ROWS = 5_000, 200
MAX_DIFFERENCE = {"pipeline": 1e-9, "onnx": 1e-5}
OURS, PIPELINE, ONNX = "ours", "pipeline", "onnx"
MICROSECONDS, MILLIONS = 1e6, 1e6


def measure(bench: Bench) -> list[Measured]:
    """A row and a batch, each against each peer."""
    data = train.rows(bench)
    train.train(data, train.SHIPPED)
    expected(data)
    ended = alternate(
        {OURS: partial(_ours, data), **{kind: partial(_peer, bench, data, kind) for kind in (PIPELINE, ONNX)}},
        bench.rounds(7),
    )

    def row(name: str, what: str, peer: str, figure: str, target: float | None = None) -> Measured:
        def figures(side: str, figure: str) -> tuple[float, ...]:
            every = (float(each[figure]) for each in ended[side])
            return tuple(each * MICROSECONDS if what == "row" else data.rows / MILLIONS / each for each in every)

        return Measured(
            name=name,
            samples=figures(OURS, what),
            peer_samples=figures(peer, figure),
            peer_name="sum of the batch by numpy" if peer == OURS else ended[peer][0][f"{figure}_name"],
            unit="µs" if what == "row" else "million rows/s",
            size="1 row" if what == "row" else data.size,
            higher_is_better=what == "batch",
            target=target,
        )

    found = [
        row("score_row", "row", ONNX, "row", ROW_TARGET),
        row("score_row_pipeline", "row", PIPELINE, "row"),
        row("score_batch", "batch", PIPELINE, "batch"),
        row("score_batch_onnx", "batch", ONNX, "batch"),
    ]
    if bench.quick:  # how fast memory is beside the processor differs between machines
        return found
    return [*found, row("score_batch_memory", "batch", OURS, "pass", BATCH_MEMORY_TARGET)]


def expected(data: train.Data) -> None:
    """Writes scores.npy: the scores by the project of rows.npy, with which peers and servers are compared."""
    _ours(data)


def _ours(data: train.Data) -> dict[str, Any]:
    files = [data.folder / name for name in ("model.json", "rows.npy", "scores.npy")]
    module = "tests.benchmarks.performance.score_ours"
    return run([sys.executable, "-m", module, *files, str(SINGLE_ROWS)]).answer


def _peer(bench: Bench, data: train.Data, kind: str) -> dict[str, Any]:
    script, files = ROOT / "tests/benchmarks/performance/score_peer.py", ("model.json", "rows.npy")
    singles = PIPELINE_ROWS if kind == PIPELINE else SINGLE_ROWS
    command: list[str | Path] = [
        bench.peers,
        "-W",
        "ignore",
        script,
        kind,
        *(data.folder / name for name in files),
        str(singles),
    ]
    # Threads that wait for a row of the pipeline only disturb each other where other work runs.
    answer = run(command, threads=1 if bench.quick else None).answer
    if answer["difference"] > MAX_DIFFERENCE[kind]:
        raise BenchFailed(f"scores of {kind} differ from the project's by up to {answer['difference']:.2g}")
    return answer
