"""Reading captured traffic compared with parsing the same lines by orjson: the figures of capture_speed.py."""

from __future__ import annotations

from typing import Any

from ml.aws.capture import decode_pool
from tests.benchmarks.performance import reasons
from tests.benchmarks.performance.measured import Bench, Measured, cores, script

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
    found = [_row(item, bench) for item in forms]
    return found if bench.quick else [*found, *(row for item in forms for row in _profile(item))]


def _profile(item: dict[str, Any]) -> list[Measured]:
    """A row for each stage and floor, for reasons.py; the parse by orjson is the peer's time."""
    name, size = NAMES[item["form"]], f"{item['rows']:,} rows"
    return [
        Measured(
            name=reasons.row_name(name, stage),
            samples=tuple(seconds),
            unit="threads" if stage == "threads" else "s",
            size=size,
        )
        for stage, seconds in (item["stage_rounds"] | {"threads": [min(decode_pool.WORKERS, len(cores()))]}).items()
    ]


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
