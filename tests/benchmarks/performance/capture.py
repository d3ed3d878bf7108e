"""Reading captured traffic compared with parsing the same lines by orjson: the figures of capture_speed.py."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.performance.measured import Bench, Measured, script

NAMES = {
    "CSV, a row a request": "capture_read",
    "CSV, 500 rows a request": "capture_read_500",
    "JSON, a row a request": "capture_read_json",
    "JSON, 500 rows a request": "capture_read_json_500",
    "CSV in base64, a row a request": "capture_read_base64",
}
TARGET = 1 / 3
TARGETED = ("capture_read", "capture_read_500", "capture_read_json")
FULL_ROWS, QUICK_ROWS = 200_000, 20_000


def measure(bench: Bench) -> list[Measured]:
    """Each form of captured lines."""
    rows = QUICK_ROWS if bench.quick else FULL_ROWS
    forms = script("capture_speed", "--rows", str(rows), "--rounds", str(bench.rounds(7, 7)))["forms"]
    return [_row(item, bench) for item in forms]


def _row(item: dict[str, Any], bench: Bench) -> Measured:
    name = NAMES[item["form"]]
    return Measured(
        name=name,
        samples=tuple(item["read_rounds"]),
        peer_samples=tuple(item["parse_rounds"]),
        peer_name="orjson.loads of each line",
        unit="s",
        size=f"{item['rows']:,} rows",
        target=TARGET if name in TARGETED and not bench.quick else None,
    )
