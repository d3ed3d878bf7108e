"""The loop on the emulators less its jobs: commit to pull request, and merge to serving."""

from __future__ import annotations

import sys

from tests.benchmarks.performance.measured import Bench, Measured, run

TARGET_SECONDS = 10.0
ROUNDS = 3


def measure(bench: Bench) -> list[Measured]:
    """The sum and both parts; nothing in a quick run, because there is no peer to compare with."""
    if bench.quick:
        return []
    found = [run([sys.executable, "-m", "tests.benchmarks.performance.loop_run"]).answer for _ in range(ROUNDS)]
    proposed = tuple(each["proposed"] - each["jobs"] for each in found)
    served = tuple(float(each["served"]) for each in found)

    def row(name: str, samples: tuple[float, ...], size: str, target: float | None = None) -> Measured:
        return Measured(name=name, samples=samples, unit="s", size=size, target=target)

    both = tuple(map(sum, zip(proposed, served, strict=True)))
    return [
        row("loop_overhead", both, "commit to pull request and merge to serving", TARGET_SECONDS),
        row("loop_overhead_commit", proposed, "commit to pull request, less the jobs"),
        row("loop_overhead_merge", served, "merge to serving"),
        row("loop_jobs", tuple(float(each["jobs"]) for each in found), "the jobs, 12,000 rows"),
    ]
