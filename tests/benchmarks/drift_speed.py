"""Time of all statistics of a drift check, compared with Evidently's preset and NannyML's Kolmogorov-Smirnov.

All tools get the same rows in memory, in alternation, each in its own process; figures are ratios of medians. The other
tools have an environment of their own (requirements/bench.lock), and only their calculation is timed. The project's
time covers everything from the rows to the verdict: counts, moments, five statistics per feature, scores, alerts,
calibration, verdict.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from seeds import ROOT  # type: ignore[import-not-found] # beside this script

from ml.model.drift import detector
from ml.model.drift.reference import complete_reference, start_reference
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from tests.harness.columns import ulb_columns

TARGETS = {"evidently": 90.0, "nannyml": 1.5}
NAMES = {"evidently": "Evidently DataDriftPreset", "nannyml": "NannyML univariate KS, calculate only"}
OURS = 9  # times in each round; a round's figure is their median


def matrix(rows: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """`rows` rows of the stand-in with its thirty columns, and their labels."""
    source = stand_in_data.StandIn.load()
    traffic = source.traffic(
        rows, round(rows * stand_in_data.FRAUDS / stand_in_data.ROWS), 2, np.random.default_rng(seed)
    )
    return np.column_stack([traffic.seconds, traffic.values]), traffic.labels


def reference(rows: NDArray[np.float64], labels: NDArray[np.int8], names: list[str]) -> detector.Reference:
    """The baseline of those rows, the later half of them scored."""
    columns = ulb_columns(tuple(names[1:-1]))
    half = len(rows) // 2
    frame = pd.DataFrame(rows, columns=names)
    times = np.datetime64("2026-03-01", "s") + rows[:, 0].astype("timedelta64[s]")
    started = start_reference(columns, frame[:half], labels[:half], times=times[:half])
    scores, decisions = scored(rows[half:])
    done = complete_reference(
        started,
        columns,
        frame[half:],
        labels[half:],
        scores=scores,
        decisions=decisions,
        times=times[half:],
        windows={},
    )
    return detector.Reference.of(done)


def scored(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores of an arbitrary model, and its alerts."""
    scores = 1 / (1 + np.exp(6 + rows[:, 14] - rows[:, 4]))
    return scores, (scores > 0.3).astype(np.int8)


@contextmanager
def peer(python: Path, name: str, data: Path) -> Iterator[Callable[[], dict[str, Any]]]:
    """A function that lets the other tool calculate once, in a process of its own, and returns what it reports."""
    command: list[str | Path] = [python, Path(__file__).with_name("drift_peers.py"), name, data]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        given, made = process.stdin, process.stdout
        assert given is not None
        assert made is not None

        def calculate() -> dict[str, Any]:
            given.write("once\n")
            given.flush()
            for line in made:  # other lines are the tool's own
                if line.startswith("{"):
                    answer: dict[str, Any] = json.loads(line)
                    return answer
            raise RuntimeError(f"{name} ended with exit code {process.wait()}")

        yield calculate


def main() -> int:
    """Prints the table and writes build/bench/drift_speed.json; 1 if a ratio is below the promised one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-bench/bin/python", help="Python that has the peers")
    options = parser.parse_args()
    names = ["Time", *stand_in_data.StandIn.load().columns]
    known, window = matrix(options.rows, 0), matrix(options.rows, 1)[0]
    rules = detector.Rules.from_dict(yaml.safe_load((SHIPPED / "model-config/monitoring/drift.yaml").read_text()))
    read = reference(*known, names)
    scores, decisions = scored(window)
    columns = {name: np.ascontiguousarray(window[:, i]) for i, name in enumerate(names)}
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC)

    def ours(inputs: Any) -> float:
        began = time.perf_counter()
        summary = detector.WindowSummary.of(read, inputs, scores=scores, decisions=decisions)
        detector.evaluate(read, summary, None, rules, start=start, end=end)
        return time.perf_counter() - began

    taken: dict[str, list[float]] = {"columns": [], "rows": [], **{name: [] for name in TARGETS}}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder) / "rows.npz"
        np.savez(data, reference=known[0], window=window)
        peers = {name: stack.enter_context(peer(options.peers, name, data)) for name in TARGETS}
        for _ in range(options.rounds):
            taken["columns"].append(statistics.median(ours(columns) for _ in range(OURS)))
            taken["rows"].append(statistics.median(ours(window) for _ in range(OURS)))
            for name in TARGETS:
                answer = peers[name]()
                taken[name].append(answer["seconds"])
                versions[name] = answer["version"]
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    table = Table("what", "seconds", "ratio", "promise", title=f"{options.rows:,} rows × {len(names)} columns")
    table.add_row("ours, all statistics to the verdict, columns in memory", f"{medians['columns']:.4f}", "1", "")
    table.add_row("ours, rows in memory", f"{medians['rows']:.4f}", f"{medians['rows'] / medians['columns']:.1f}", "")
    results: list[dict[str, Any]] = []
    for name, target in TARGETS.items():
        ratio = medians[name] / medians["columns"]
        table.add_row(f"{NAMES[name]} {versions[name]}", f"{medians[name]:.3f}", f"{ratio:.1f}", f"≥ {target:g}")
        results.append(
            {
                "name": f"drift_{name}",
                "ratio": ratio,
                "ours": medians["columns"],
                "peer": medians[name],
                "peer_name": f"{NAMES[name]} {versions[name]}",
                "unit": "s",
                "size": f"{options.rows} x {len(names)}",
                "promised": target,
                "rounds": list(taken["columns"]),
                "peer_rounds": list(taken[name]),
            }
        )
    Console(width=120).print(table)
    Console().print(f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")
    out = ROOT / "build/bench/drift_speed.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=2))
    return 1 if any(result["ratio"] < result["promised"] for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
