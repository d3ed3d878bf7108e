"""`make fuzz`: tries random input on every target of targets.yaml until the time is over.

Each round takes more examples than the one before, chosen anew. Failing examples stay in build/fuzz/examples and are
tried first the next time; Hypothesis keeps none in a run with a seed, so none is given. Figures are appended to
build/fuzz/rounds.jsonl.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.benchmarks import shard_tables

ROOT = Path(__file__).resolve().parents[2]
TARGETS = Path(__file__).with_name("targets.yaml")
FOLDER = ROOT / "build/fuzz"
EXAMPLES, ROUNDS = FOLDER / "examples", FOLDER / "rounds.jsonl"
FIGURES, PAGE = ROOT / "docs/fuzzing.json", ROOT / "docs/fuzzing.md"
_FIRST_EXAMPLES = 200
_COUNTS = re.compile(r"(\d+) passing, (\d+) failing, and \d+ invalid test cases")
_NODE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.M)


@dataclass(frozen=True, kw_only=True)
class Round:
    """One run of a target: the examples that its tests took, the seconds, and the tests that failed."""

    target: str
    examples: int
    seconds: float
    failed: tuple[str, ...]


def targets() -> dict[str, dict[str, Any]]:
    """The targets by name, as targets.yaml has them."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(TARGETS.read_text("utf-8"))
    return found


def command(tests: Iterable[str], examples: int) -> list[str]:
    """The command that runs `tests` with random examples, those that failed before first."""
    options = ["--fuzz", str(EXAMPLES.relative_to(ROOT)), "--fuzz-examples", str(examples)]
    return [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics", *options, *tests]


def play(name: str, tests: Iterable[str], examples: int) -> Round:
    """One run of a target; prints what failed, and how to run it again."""
    start = time.monotonic()
    done = subprocess.run(command(tests, examples), cwd=ROOT, capture_output=True, text=True, check=False, timeout=3600)
    counted = sum(int(passing) + int(failing) for passing, failing in _COUNTS.findall(done.stdout))
    failed = tuple(dict.fromkeys(_NODE.findall(done.stdout)))
    if done.returncode not in (0, 1) or (done.returncode and not failed):
        raise SystemExit(f"{name}: pytest ended with {done.returncode}\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    played = Round(target=name, examples=counted, seconds=time.monotonic() - start, failed=failed)
    print(f"{name}: {counted:,} examples, {played.seconds:.0f} s, {len(failed)} failed", flush=True)
    for test in failed:
        print(f"  {test}\n    again: {' '.join(['.venv/bin/python', *command([test], examples)[1:]])}", flush=True)
    return played


def run(minutes: float, names: Iterable[str]) -> list[Round]:
    """Rounds over the targets `names` until `minutes` are over; each target is run once at least."""
    chosen = {name: about for name, about in targets().items() if name in names}
    end, examples = time.monotonic() + 60 * minutes, _FIRST_EXAMPLES
    rounds: list[Round] = []
    FOLDER.mkdir(parents=True, exist_ok=True)
    while not rounds or time.monotonic() < end:
        for name, about in chosen.items():
            if len(rounds) >= len(chosen) and time.monotonic() >= end:
                break
            rounds.append(play(name, about["tests"], examples))
            with ROUNDS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(rounds[-1])) + "\n")
        examples *= 2
    return rounds


def merged(rounds: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Examples and seconds by target."""
    found: dict[str, dict[str, float]] = {}
    for each in rounds:
        figures = found.setdefault(each["target"], {"examples": 0, "seconds": 0})
        figures["examples"] += each["examples"]
        figures["seconds"] = round(figures["seconds"] + each["seconds"])
    return found


def table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The tables of docs/fuzzing.md: the targets with their figures, and what was found."""
    rows, findings = [], []
    for name, about in targets().items():
        tried = figures.get(name, {"examples": 0})
        rows.append(
            f"| {name} | {about['writer']} | {about['invariant']} | {tried['examples']:,} | {len(about['found'])} |"
        )
        findings += [
            f"| {name} | {each['what']} | `{each['test'].removeprefix('tests/')}` |" for each in about["found"]
        ]
    total = sum(int(each["examples"]) for each in figures.values())
    return "\n".join(
        [
            f"{total:,} examples in all.\n",
            "| target | who writes it | what holds | examples | found |\n|---|---|---|---:|---:|",
            *rows,
            "\nWhat was found, and the test that holds it since; paths are below `tests/`:\n",
            "| target | what was wrong | test |\n|---|---|---|",
            *findings,
        ]
    )


def main() -> None:
    """The command of `make fuzz`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--target", action="append", help="only this target (repeatable); all by default")
    parser.add_argument("--page", action="store_true", help="run nothing; write docs/fuzzing.json and docs/fuzzing.md")
    options = parser.parse_args()
    if options.page:
        if ROUNDS.is_file():
            rounds = [json.loads(line) for line in ROUNDS.read_text("utf-8").splitlines()]
            FIGURES.write_text(json.dumps(merged(rounds), indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(
            shard_tables.with_table(PAGE, "targets", table(json.loads(FIGURES.read_text("utf-8")))), "utf-8"
        )
        return
    unknown = set(options.target or ()) - targets().keys()
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are: {', '.join(targets())}")
    failed = {test for each in run(options.minutes, options.target or targets()) for test in each.failed}
    raise SystemExit(f"{len(failed)} tests failed; their examples are in {EXAMPLES.relative_to(ROOT)}" if failed else 0)


if __name__ == "__main__":
    main()
