"""How long a verb takes until its help is printed: the start that every call of the command line pays."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

from ml.cli import app
from tests.benchmarks.performance.measured import Bench, BenchFailed, Measured

TARGET_SECONDS = 0.4
ROUNDS = 5


def verbs() -> list[str]:
    """The verbs of the command line without groups."""
    return sorted(
        command.name or (command.callback.__name__ if command.callback else "").replace("_", "-")
        for command in app.registered_commands
        if not command.hidden
    )


def measure(bench: Bench) -> list[Measured]:
    """The slowest verb by median, and the median verb; nothing in a quick run, because there is no peer."""
    if bench.quick:
        return []
    names = verbs()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            taken[name].append(_seconds(name))
    medians = {name: statistics.median(seconds) for name, seconds in taken.items()}
    slowest = max(medians, key=medians.__getitem__)
    return [
        Measured(
            name="start_slowest",
            samples=tuple(taken[slowest]),
            unit="s",
            size=f"{slowest} --help, of {len(names)} verbs",
            target=TARGET_SECONDS,
        ),
        Measured(
            name="start_median", samples=tuple(medians.values()), unit="s", size=f"--help of each of {len(names)} verbs"
        ),
    ]


def _seconds(verb: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).with_name("fraudops")), verb, "--help"],
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(f"start: exit code {done.returncode} of {verb} --help")
    return time.perf_counter() - began
