"""Training path, read to threshold, compared with pandas, scikit-learn and imbalanced-learn on the same rows.

Each run is a process; its time starts when the libraries are loaded. Names: `_shipped` has the SMOTE ratio that
ships, `_parquet` gives the peer the same Parquet file instead of CSV, `_processor` is the time of all cores together,
which other work on the machine affects less. A full run also times the stages of the project's run and its
floors (train_stages.py), for reasons.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.performance import reasons
from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, Ended, Measured, alternate, fastest, run

EQUAL, SHIPPED = 1.0, 0.02
FULL_ROWS, QUICK_ROWS = 284_807, 100_000
QUICK_THREADS = 1  # the fastest number in every full run so far
TARGET, TARGET_PARQUET, TARGET_MEMORY = 15.0, 10.0, 3.0
MAX_RECALL_DIFFERENCE = 0.05
PEER = "pandas, ColumnTransformer, SMOTE, LogisticRegression"
OURS_EQUAL, CSV_EQUAL, PARQUET_EQUAL, OURS_SHIPPED, CSV_SHIPPED, STAGES_EQUAL, STAGES_SHIPPED = range(7)


@dataclass(frozen=True, kw_only=True)
class Data:
    """The rows of one size: `sets` stand-ins, of QUICK_ROWS rows in a quick run."""

    name: str
    sets: int
    rows: int
    folder: Path

    @property
    def size(self) -> str:
        """The number of rows as the table shows it."""
        return f"{self.sets * self.rows:,} rows"


def measure(bench: Bench) -> list[Measured]:
    """One data set: at SMOTE 1:1 and, in a full run, at the ratio that ships and from Parquet on both sides."""
    return _compared(bench, rows(bench))


def measure_x10(bench: Bench) -> list[Measured]:
    """The same with ten data sets; nothing in a quick run."""
    return [] if bench.quick else _compared(bench, rows(bench, "x10", 10))


def rows(bench: Bench, name: str = "x1", sets: int = 1) -> Data:
    """The rows of so many data sets, drawn if they are not there."""
    count = QUICK_ROWS if bench.quick else FULL_ROWS
    data = Data(name=name, sets=sets, rows=count, folder=bench.folder / f"train-groups-{sets}x{count}")
    if not (data.folder / "validation.csv").exists():
        data.folder.mkdir(parents=True, exist_ok=True)
        module = "tests.benchmarks.performance.train_ours"
        run([sys.executable, "-m", module, "draw", data.folder, str(sets), str(count)])
    return data


def train(data: Data, ratio: float) -> Ended:
    """Trains once as the Train step does; model.json is in the folder afterwards."""
    return run([sys.executable, "-m", "tests.benchmarks.performance.train_ours", "fit", data.folder, str(ratio)])


def _peer(bench: Bench, data: Data, kind: str, ratio: float, threads: int) -> Ended:
    script = ROOT / "tests/benchmarks/performance/train_peer.py"
    return run([bench.peers, script, data.folder, kind, str(ratio)], threads=threads)


def _compared(bench: Bench, data: Data) -> list[Measured]:
    first = rows(bench)
    threads = (
        QUICK_THREADS
        if bench.quick
        else fastest(lambda count: _peer(bench, first, "csv", EQUAL, count).answer["seconds"])
    )
    peer = partial(_peer, bench, data, threads=threads)
    ways: dict[int, Callable[[], Ended]] = {
        OURS_EQUAL: partial(train, data, EQUAL),
        CSV_EQUAL: partial(peer, kind="csv", ratio=EQUAL),
    }
    if not bench.quick:
        ways |= {
            PARQUET_EQUAL: partial(peer, kind="parquet", ratio=EQUAL),
            OURS_SHIPPED: partial(train, data, SHIPPED),
            CSV_SHIPPED: partial(peer, kind="csv", ratio=SHIPPED),
            STAGES_EQUAL: partial(_stages, data, EQUAL),
            STAGES_SHIPPED: partial(_stages, data, SHIPPED),
        }
    ended = alternate(ways, bench.rounds(5 if data.sets == 1 else 3))
    _check(data, ended[OURS_EQUAL][0], ended[CSV_EQUAL][0])

    def row(name: str, ways: tuple[int, int], target: float | None, figure: str = "seconds") -> Measured:
        def samples(way: int) -> tuple[float, ...]:
            return tuple(
                each.peak_megabytes if figure == "memory" else float(each.answer[figure]) for each in ended[way]
            )

        kind = "Parquet" if ways[1] == PARQUET_EQUAL else "CSV"
        return Measured(
            name=f"train_{data.name}{name}",
            samples=samples(ways[0]),
            peer_samples=samples(ways[1]),
            peer_name=f"{kind}, {PEER}, {threads} thread{'s' * (threads > 1)}",
            unit="MB" if figure == "memory" else "s",
            size=f"{data.size}, SMOTE {f'{SHIPPED:g}' if ways[0] == OURS_SHIPPED else '1:1'}",
            target=target,
        )

    equal = OURS_EQUAL, CSV_EQUAL
    target, memory_target = None if bench.quick else TARGET, TARGET_MEMORY if data.sets > 1 else None
    found = [
        row("", equal, target),
        row("_processor", equal, None, "cpu_seconds"),
        row("_memory", equal, memory_target, "memory"),
    ]
    if bench.quick:
        return found
    return [
        *found,
        row("_parquet", (OURS_EQUAL, PARQUET_EQUAL), TARGET_PARQUET),
        row("_shipped", (OURS_SHIPPED, CSV_SHIPPED), TARGET),
        *_profile(f"train_{data.name}", ended[STAGES_EQUAL], f"{data.size}, SMOTE 1:1"),
        *_profile(f"train_{data.name}_shipped", ended[STAGES_SHIPPED], f"{data.size}, SMOTE {SHIPPED:g}"),
    ]


def _stages(data: Data, ratio: float) -> Ended:
    return run([sys.executable, "-m", "tests.benchmarks.performance.train_stages", data.folder, str(ratio)])


def _profile(name: str, ended: list[Ended], size: str) -> list[Measured]:
    """A row for each stage and floor."""
    return [
        Measured(
            name=reasons.row_name(name, figure),
            samples=tuple(float(each.answer[figure]) for each in ended),
            unit="passes" if figure == "passes" else "s",
            size=size,
        )
        for figure in ended[0].answer
    ]


def _check(data: Data, ours: Ended, peer: Ended) -> None:
    """Fails if the project's model is worse: the times could not be compared."""
    recalls = ours.answer["recall"], peer.answer["recall"]
    if recalls[0] < recalls[1] - MAX_RECALL_DIFFERENCE:
        raise BenchFailed(
            f"train_{data.name}: recall {recalls[0]:.3f} on validation rows, and the peer's {recalls[1]:.3f}"
        )
