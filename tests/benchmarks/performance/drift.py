"""A drift check compared with Evidently and NannyML, and its memory: drift_speed.py and capture_memory.py."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.performance.measured import Bench, Measured, script

TARGETS = {"drift_evidently": 300.0, "drift_nannyml": 5.0}
FULL_ROWS, QUICK_ROWS = 200_000, 10_000
MEMORY_ROWS = (200_000, 2_000_000, 20_000_000)
MEMORY_TARGET_MEGABYTES = 600.0


def measure(bench: Bench) -> list[Measured]:
    """Time against both tools; in a full run also the memory of each window."""
    rows = QUICK_ROWS if bench.quick else FULL_ROWS
    options = ["--rows", str(rows), "--rounds", str(bench.rounds(5)), "--peers", str(bench.peers)]
    found = [_compared(item, bench) for item in script("drift_speed", *options)]
    return found if bench.quick else found + [_memory(item) for item in _windows()]


def _compared(item: dict[str, Any], bench: Bench) -> Measured:
    return Measured(
        name=item["name"],
        samples=tuple(item["rounds"]),
        peer_samples=tuple(item["peer_rounds"]),
        peer_name=item["peer_name"],
        unit="s",
        size=item["size"],
        target=None if bench.quick else TARGETS[item["name"]],
    )


def _windows() -> list[dict[str, Any]]:
    windows: list[dict[str, Any]] = script("capture_memory", "--rows", *map(str, MEMORY_ROWS))["windows"]
    return windows


def _memory(item: dict[str, Any]) -> Measured:
    millions = item["rows"] / 1e6
    return Measured(
        name=f"drift_memory_{millions:g}m",
        samples=(item["peak_megabytes"],),
        unit="MB",
        size=f"{item['rows']:,} captured rows",
        target=MEMORY_TARGET_MEGABYTES,
    )
