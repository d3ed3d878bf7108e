"""The steps Prepare, Train and Evaluate on lakes of several sizes: seconds, processor seconds and peak memory.

No peer does all that the steps do, so there are limits instead. At ×10 they are a fifth of the time and half of the
memory that the steps took before they read row groups: ten times the 13.4 s of 284,807 rows, and 5.3 GB.
"""

from __future__ import annotations

import sys

from tests.benchmarks.performance.measured import Bench, Ended, Measured, run

STEPS = ("prepare", "train", "evaluate")
ROWS = 284_807
SECONDS_X10, MEGABYTES_X10, MEGABYTES_X30 = 134 / 5, 5_300 / 2, 6_144.0
MODULE = "tests.benchmarks.performance.train_steps_ours"


def measure(bench: Bench) -> list[Measured]:
    """The steps at ×1, ×10 and ×30; nothing in a quick run."""
    return [] if bench.quick else [row for sets in (1, 10, 30) for row in _measured(bench, sets, ROWS)]


def _measured(bench: Bench, sets: int, rows: int, *, rounds: int = 3) -> list[Measured]:
    folder = bench.folder / f"steps-{sets}x{rows}"
    if not (folder / "drawn").exists():
        run([sys.executable, "-m", MODULE, "draw", folder, str(sets), str(rows)])
    found = [{step: run([sys.executable, "-m", MODULE, step, folder]) for step in STEPS} for _ in range(rounds)]
    size = f"{sets * rows:,} rows"

    def row(name: str, samples: list[float], unit: str, target: float | None = None) -> Measured:
        return Measured(name=f"{name}_x{sets}", samples=tuple(samples), unit=unit, size=size, target=target)

    made = []
    for step in STEPS:
        ended = [each[step] for each in found]
        made += [
            row(f"steps_{step}", [float(each.answer["seconds"]) for each in ended], "s"),
            row(f"steps_{step}_processor", [float(each.answer["cpu_seconds"]) for each in ended], "s"),
            row(f"steps_{step}_memory", [each.peak_megabytes for each in ended], "MB"),
        ]
    if sets == 30:
        peaks = tuple(each["train"].peak_megabytes for each in found)
        size_ = f"{size}, the whole step"
        made.append(Measured(name="train_x30_memory", samples=peaks, unit="MB", size=size_, target=MEGABYTES_X30))
    times = [sum(float(ended.answer["seconds"]) for ended in each.values()) for each in found]
    return [
        *made,
        row("steps", times, "s", SECONDS_X10 if sets == 10 else None),
        row("steps_memory", [_peak(each) for each in found], "MB", {10: MEGABYTES_X10, 30: MEGABYTES_X30}.get(sets)),
    ]


def _peak(ended: dict[str, Ended]) -> float:
    return max(each.peak_megabytes for each in ended.values())
