"""How fast captured traffic is read: the same lines parsed by orjson, objects discarded, and read to arrays.

Lines lie in memory, so that neither disk nor network is measured; every form is timed in turns with its yardstick and
the fastest of each counts. The promise (3 times the parse at most) is held where a request has a row, as plain text.
Where one line has hundreds of rows, or base64, the parse looks at one long text and at none of its numbers, and no
reader of numbers can be near it: the rows a second say what those cost. It wants both cores to itself, and ends
non-zero where the promise is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from capture_lines import FORMS, INPUTS, START, lines  # type: ignore[import-not-found] # lies beside this script
from rich.console import Console
from rich.table import Table

from ml.aws.capture import decode_pool
from ml.aws.capture.line_stream import RANGE, Block
from ml.aws.capture.object_listing import CapturedObject

ROOT = Path(__file__).resolve().parents[2]
MOST = 3.0


def blocks(content: list[bytes]) -> Iterator[Block]:
    """The lines as they come from S3."""
    source = CapturedObject(key="capture/e/v/2026/03/01/00/a.jsonl", bytes=0, etag="", hour=START)
    some: list[bytes] = []
    size = 0
    for line in content:
        some.append(line)
        size += len(line)
        if size >= RANGE:
            yield Block(source=source, first=1, data=b"\n".join(some))
            some, size = [], 0
    yield Block(source=source, first=1, data=b"\n".join(some))


def measure(form: str, rows: int, rounds: int) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    kind, rows_per_request, encoded = FORMS[form]
    content = list(lines(rows, kind=kind, rows_per_request=rows_per_request, encoded=encoded))
    parse, ours, busy = [], [], []
    for _ in range(rounds):
        begin = time.perf_counter()
        for line in content:
            orjson.loads(line)
        parse.append(time.perf_counter() - begin)
        came = list(blocks(content))
        begin, worked = time.perf_counter(), time.process_time()
        got = sum(
            len(part) for some in decode_pool.decode_concurrently(came, INPUTS, 0, 1 << 62) for part in some.parts
        )
        ours.append(time.perf_counter() - begin)
        busy.append(time.process_time() - worked)
        if got != rows:
            sys.exit(f"{form}: {got} rows came of {rows}")
    best = min(ours)
    size = sum(map(len, content))
    return {
        "form": form,
        "rows": rows,
        "bytes": size,
        "parse_seconds": min(parse),
        "read_seconds": best,
        "read_cpu_seconds": min(busy),
        "ratio": best / min(parse),
        "rows_per_second": rows / best,
        "megabytes_per_second": size / best / 1e6,
    }


def main() -> int:
    """Prints the table, leaves it under build/bench, and says whether the promise holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = [measure(form, options.rows, options.rounds) for form in FORMS]
    table = Table(title=f"{options.rows:,} captured rows of {len(INPUTS)} inputs, {os.cpu_count()} cores")
    for name in ("form", "MB", "orjson parse, s", "read, s", "of all cores, s", "ratio", "rows/s", "MB/s"):
        table.add_column(name, justify="left" if name == "form" else "right")
    for item in found:
        table.add_row(
            str(item["form"]),
            f"{item['bytes'] / 1e6:,.0f}",
            f"{item['parse_seconds']:.3f}",
            f"{item['read_seconds']:.3f}",
            f"{item['read_cpu_seconds']:.3f}",
            f"{item['ratio']:.2f}",
            f"{item['rows_per_second']:,.0f}",
            f"{item['megabytes_per_second']:,.0f}",
        )
    Console().print(table)
    out = ROOT / "build" / "bench" / "capture_speed.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    held = [item for item in found if FORMS[item["form"]][1:] == (1, False)]
    out.write_text(json.dumps({"held": [item["form"] for item in held], "most": MOST, "forms": found}, indent=2) + "\n")
    worst = max(held, key=lambda item: float(item["ratio"]))
    ok = worst["ratio"] <= MOST
    said = f"a row a request: {worst['ratio']:.2f} times the parse at worst ({worst['form']}), {MOST:g} at most"
    Console().print(f"{said}: {'held' if ok else 'MISSED'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
