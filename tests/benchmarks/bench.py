"""Measures the project against its peers in one run: `make bench`, or `make bench QUICK=1` for three minutes.

A full run measures every subject at full and at quick sizes and writes docs/performance.md, its pictures and
docs/performance.json. A quick run measures the quick sizes, compares their ratios with docs/performance.json and
returns 1 if one has fallen by a third; with --write it writes them instead. Both print a table and write
build/bench/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.performance import (
    capture,
    committed,
    drift,
    install,
    loop,
    machine,
    page,
    score,
    serve,
    soak,
    start,
    train,
    train_steps,
)
from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, Measured

SUBJECTS: Mapping[str, Callable[[Bench], list[Measured]]] = {
    "train": train.measure,
    "train_x10": train.measure_x10,
    "steps": train_steps.measure,
    "score": score.measure,
    "serve": serve.measure,
    "drift": drift.measure,
    "capture": capture.measure,
    "install": install.measure,
    "loop": loop.measure,
    "start": start.measure,
    "soak": soak.measure,
}
OUT = ROOT / "build/bench"


def measure(bench: Bench, subjects: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of the named subjects, with the load average before each; prints how long each takes."""
    found = []
    for name in subjects:
        began, load = time.perf_counter(), round(os.getloadavg()[0], 1)
        found += [row.to_dict() | {"load": load} for row in SUBJECTS[name](bench)]
        print(f"{name}{' (quick)' if bench.quick else ''}: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def show(rows: Sequence[dict[str, Any]], title: str) -> None:
    """Prints the table."""
    table = Table("name", "ratio", "target", "ours", "peer", "unit", "peer's name", "size", title=title)
    for row in rows:
        table.add_row(row["name"], *page.cells(row), row["unit"], row["peer_name"] or "", row["size"])
    Console(width=180).print(table)


def main() -> int:
    """Runs the benchmarks; 1 if a committed ratio has fallen by a third or a benchmark fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, compared with docs/performance.json")
    parser.add_argument(
        "--only", nargs="+", choices=SUBJECTS, help="measure these subjects; a full run keeps the other rows"
    )
    parser.add_argument("--write", action="store_true", help="a quick run writes its rows instead of comparing them")
    parser.add_argument("--render", action="store_true", help="write the page from docs/performance.json; no run")
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-bench/bin/python", help="Python with the peers")
    options = parser.parse_args()
    if options.render:
        page.write(committed.read())
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    described = machine.describe(options.peers)
    print("\n".join(machine.lines(described)), flush=True)
    subjects = options.only or list(SUBJECTS)
    try:
        quick = measure(Bench(quick=True, folder=OUT, peers=options.peers), subjects)
        full = [] if options.quick else measure(Bench(quick=False, folder=OUT, peers=options.peers), subjects)
    except BenchFailed as error:
        print(error, file=sys.stderr)
        return 1
    rows = full or quick
    show(rows, "quick" if options.quick else "full")
    (OUT / "bench.json").write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    if options.write or not options.quick:
        keep = options.only or options.quick
        former = committed.read() if keep else committed.Committed(machine={}, full=[], quick=[])
        table = former.updated(machine=former.machine if options.quick else described, full=full, quick=quick)
        committed.write(table)
        page.write(table)
        return 0
    names = {row["name"] for row in quick}
    expected = [row for row in committed.read().quick if not options.only or row["name"] in names]
    problems = committed.fallen(expected, quick)
    print("\n".join(problems) or "no ratio has fallen by a third", file=sys.stderr if problems else sys.stdout)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
