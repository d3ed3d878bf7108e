"""Many seeded runs of the loop under faults: `make chaos SHARD=0/4`; `OPTIONS=--page` writes docs/chaos.md.

Each shard appends to a file of its own below build/chaos/SCENE and continues where it stopped. The page is made from
docs/chaos.json, to which `--page` adds the seeds after its last one, from the files of all shards. The exit code is 1
if an invariant was violated.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.playground.chaos import shard
from ml.playground.chaos.fault_draw import KINDS
from ml.playground.chaos.loop import Result
from tests.benchmarks import shard_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS, FIGURES, PAGE = ROOT / "build/chaos", ROOT / "docs/chaos.json", ROOT / "docs/chaos.md"
SEEDS = 10_000
SCENES = {"training": "train, propose, deploy", "watch": "labels collect, drift check, drift request"}
"""The scenes of the page, and their verbs."""


def figures(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
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
        "kinds": {kind: [met[kind], again[kind]] for kind in KINDS if met[kind]},
        "violations": shard_tables.violated(results),
    }


def added(known: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures `known` and those of the results of later seeds."""
    more = figures([result for result in results if result["seed"] > known["last_seed"]])
    kinds = {kind: (known["kinds"].get(kind, (0, 0)), more["kinds"].get(kind, (0, 0))) for kind in KINDS}
    return {
        **{name: known[name] + more[name] for name in ("runs", "mixes", "without_a_fault_met")},
        "last_seed": max(known["last_seed"], more["last_seed"]),
        "kinds": {
            kind: [sum(pair) for pair in zip(*both, strict=True)] for kind, both in kinds.items() if any(map(any, both))
        },
        "violations": known["violations"] | more["violations"],
    }


def table(counted: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures of each scene as Markdown."""
    found = {scene: counted[scene] for scene in SCENES if scene in counted}
    said = [
        f"- {scene} ({SCENES[scene]}): {each['runs']:,} runs with seeds up to {each['last_seed']:,}; {each['mixes']:,} "
        f"of them with several faults; {each['without_a_fault_met']:,} did not reach the call of their fault. "
        f"Violations: {len(each['violations'])}."
        for scene, each in found.items()
    ]
    rows = [
        f"| {kind} | {' | '.join(' | '.join(map(str, each['kinds'].get(kind, ('', '')))) for each in found.values())} |"
        for kind in KINDS
    ]
    violations = {
        f"{scene} {seed}": texts for scene, each in found.items() for seed, texts in each["violations"].items()
    }
    return "\n".join(
        [
            *said,
            "",
            f"| fault | {' | '.join(f'{scene}: runs that met it | with a verb run again' for scene in found)} |",
            f"|---|{'---:|' * 2 * len(found)}",
            *rows,
            *shard_tables.violation_rows(violations, "seed"),
        ]
    )


def page() -> None:
    """Adds the results of later seeds below build/chaos to the figures, and puts the figures into the page."""
    known = json.loads(FIGURES.read_text(encoding="utf-8"))
    for scene in SCENES:
        known[scene] = added(known.get(scene, figures([])), shard_tables.merged(RESULTS / scene))
    FIGURES.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(rendered(), encoding="utf-8")


def rendered() -> str:
    """The page with the table of the committed figures."""
    return shard_tables.with_table(PAGE, "figures", table(json.loads(FIGURES.read_text(encoding="utf-8"))))


def main() -> int:
    """Runs a shard, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", choices=sorted(SCENES), default="training", help="what each run plays")
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th seed, from the I-th on")
    parser.add_argument("--first", type=int, default=1, help="the first seed, such as the one after the committed ones")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="the last seed")
    parser.add_argument("--page", action="store_true", help="write docs/chaos.json and docs/chaos.md, run nothing")
    given = parser.parse_args()
    if given.page:
        page()
        return 0
    number, of = map(int, given.shard.split("/"))
    folder = RESULTS / given.scene
    folder.mkdir(parents=True, exist_ok=True)
    violated = 0

    def show(result: Result) -> None:
        nonlocal violated
        violated += bool(result.violations)
        print(f"{result.seed:>6} {result.seconds:5.1f} s  {result.summary}", flush=True)
        for violation in result.violations:
            print(f"       {violation}", flush=True)

    seeds = range(given.first + number, given.seeds + 1, of)
    shard.run(ROOT, seeds, scene=given.scene, results=folder / f"shard-{number}-of-{of}.jsonl", each=show)
    return 1 if violated else 0


if __name__ == "__main__":
    sys.exit(main())
