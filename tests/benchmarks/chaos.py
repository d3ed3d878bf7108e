"""Many seeded runs of the loop under faults: `make chaos SHARD=0/4`; `OPTIONS=--page` writes docs/chaos.md.

Each shard appends to a file of its own below build/chaos and continues where it stopped. The page is made from
docs/chaos.json, which `--page` updates with the files of all shards. The exit code is 1 if an invariant was violated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ml.playground.chaos import shard
from ml.playground.chaos.fault_draw import KINDS
from ml.playground.chaos.loop import Result
from tests.benchmarks import shard_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS, FIGURES, PAGE = ROOT / "build/chaos", ROOT / "docs/chaos.json", ROOT / "docs/chaos.md"
SEEDS = 10_000


def figures(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs, runs by the kind of fault that they met, reruns by kind, and the seeds that violated an invariant."""
    met: Counter[str] = Counter()
    again: Counter[str] = Counter()
    for result in results:
        kinds = set(result["met"])
        met.update(kinds)
        if any(error for _, error in result["runs"]):
            again.update(kinds)
    return {
        "runs": len(results),
        "mixes": sum(len(result["faults"]) > 1 for result in results),
        "without_a_fault_met": sum(not result["met"] for result in results),
        "last_seed": max((result["seed"] for result in results), default=0),
        "kinds": {kind: [met[kind], again[kind]] for kind in KINDS},
        "violations": shard_tables.violated(results),
    }


def table(counted: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [f"| {kind} | {runs} | {again} |" for kind, (runs, again) in counted["kinds"].items()]
    said = [
        f"{counted['runs']:,} runs with seeds up to {counted['last_seed']:,};",
        f"{counted['mixes']:,} of them with several faults;",
        f"{counted['without_a_fault_met']:,} did not reach the call of their fault.",
        f"Violations: {len(counted['violations'])}.",
    ]
    return "\n".join(
        [
            " ".join(said),
            "",
            "| fault | runs that met it | of these, with a verb run again |",
            "|---|---:|---:|",
            *rows,
            *shard_tables.violation_rows(counted["violations"], "seed"),
        ]
    )


def page() -> None:
    """Updates the figures with the results below build/chaos, and the page with the figures."""
    results = shard_tables.merged(RESULTS)
    if results:
        FIGURES.write_text(json.dumps(figures(results), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(rendered(), encoding="utf-8")


def rendered() -> str:
    """The page with the table of the committed figures."""
    return shard_tables.with_table(PAGE, "figures", table(json.loads(FIGURES.read_text(encoding="utf-8"))))


def main() -> int:
    """Runs a shard, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th seed, from the I-th on")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="the last seed")
    parser.add_argument("--page", action="store_true", help="write docs/chaos.json and docs/chaos.md, run nothing")
    given = parser.parse_args()
    if given.page:
        page()
        return 0
    number, of = map(int, given.shard.split("/"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    violated = 0

    def show(result: Result) -> None:
        nonlocal violated
        violated += bool(result.violations)
        print(f"{result.seed:>6} {result.seconds:5.1f} s  {result.summary}", flush=True)
        for violation in result.violations:
            print(f"       {violation}", flush=True)

    seeds = range(number + 1, given.seeds + 1, of)
    shard.run(ROOT, seeds, results=RESULTS / f"shard-{number}-of-{of}.jsonl", each=show)
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
