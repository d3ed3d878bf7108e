"""Many trials whose verbs are killed at random moments: `make kills SHARD=0/2`; `OPTIONS=--page` writes docs/chaos.md.

As in chaos.py each shard appends to a file of its own below build/kills and continues where it stopped. The page is
made from docs/kills.json, to which `--page` adds the trials after its last one, from the files of all shards. The exit
code is 1 after a violation.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml.playground.chaos import shard
from ml.playground.chaos.captured_month import FLUSH_SECONDS
from ml.playground.chaos.environment import ChaosEnvironment
from ml.playground.chaos.killed_verbs import VERBS, KilledVerbs
from tests.benchmarks import shard_tables

ROOT = Path(__file__).resolve().parents[2]
RESULTS, FIGURES, PAGE = ROOT / "build/kills", ROOT / "docs/kills.json", ROOT / "docs/chaos.md"
TRIALS, TRIALS_OF_AN_ENVIRONMENT = 200, 50


def figures(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Per verb: kills, and those that a rerun repaired; and the trials that violated an invariant.

    A verb that had ended before its moment was not killed. A rerun repaired if it ended with 0, in a trial without
    violations.
    """
    verbs: dict[str, list[int]] = {verb: [0, 0] for verb in VERBS}
    for trial in trials:
        for verb, _, running, error in trial["killed"]:
            verbs[verb][0] += bool(running)
            verbs[verb][1] += bool(running and not error and not trial["violations"])
    return {
        "trials": len(trials),
        "last_trial": max((trial["seed"] for trial in trials), default=0),
        "verbs": verbs,
        "violations": shard_tables.violated(trials),
    }


def added(known: Mapping[str, Any], trials: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures `known` and those of later trials."""
    more = figures([trial for trial in trials if trial["seed"] > known["last_trial"]])
    return {
        "trials": known["trials"] + more["trials"],
        "last_trial": max(known["last_trial"], more["last_trial"]),
        "verbs": {
            verb: [sum(pair) for pair in zip(known["verbs"][verb], more["verbs"][verb], strict=True)] for verb in VERBS
        },
        "violations": known["violations"] | more["violations"],
    }


def table(counted: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    rows = [f"| {verb} | {kills} | {repaired} |" for verb, (kills, repaired) in counted["verbs"].items()]
    return "\n".join(
        [
            f"{counted['trials']} trials. Violations: {len(counted['violations'])}.",
            "",
            "| verb | kills | one rerun repaired |",
            "|---|---:|---:|",
            *rows,
            *shard_tables.violation_rows(counted["violations"], "trial"),
        ]
    )


def rendered() -> str:
    """The page with the table of the committed figures."""
    return shard_tables.with_table(PAGE, "kills", table(json.loads(FIGURES.read_text(encoding="utf-8"))))


def page() -> None:
    """Adds the later trials below build/kills to the figures, and puts the figures into the page."""
    known = added(json.loads(FIGURES.read_text(encoding="utf-8")), shard_tables.merged(RESULTS))
    FIGURES.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(rendered(), encoding="utf-8")


def play(seeds: list[int], results: Path) -> int:
    """Plays the trials that `results` does not have yet, and appends each; the number that violated an invariant."""
    done = {line["seed"] for line in shard.read(results)}
    left, violated = [seed for seed in seeds if seed not in done], 0
    for start in range(0, len(left), TRIALS_OF_AN_ENVIRONMENT):
        with (
            tempfile.TemporaryDirectory(prefix="fraudops-kills-") as folder,
            ChaosEnvironment(ROOT, Path(folder), flush_seconds=FLUSH_SECONDS) as made,
        ):
            trials = KilledVerbs(made)
            for seed in left[start : start + TRIALS_OF_AN_ENVIRONMENT]:
                trial = trials.run(seed)
                violated += bool(trial.violations)
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(trial.as_json()) + "\n")
                moments = ", ".join(f"{each.verb} after {each.seconds:.2f} s" for each in trial.killed)
                print(f"{seed:>5} {moments}; {'; '.join(trial.violations) or 'invariants hold'}", flush=True)
    return violated


def main() -> int:
    """Plays a shard, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th trial, from the I-th on")
    parser.add_argument(
        "--first", type=int, default=1, help="the first trial, such as the one after the committed ones"
    )
    parser.add_argument("--trials", type=int, default=TRIALS, help="the last trial")
    parser.add_argument("--page", action="store_true", help="write docs/kills.json and docs/chaos.md, play nothing")
    given = parser.parse_args()
    if given.page:
        page()
        return 0
    number, of = map(int, given.shard.split("/"))
    RESULTS.mkdir(parents=True, exist_ok=True)
    results = RESULTS / f"shard-{number}-of-{of}.jsonl"
    return 1 if play(list(range(given.first + number, given.trials + 1, of)), results) else 0


if __name__ == "__main__":
    sys.exit(main())
