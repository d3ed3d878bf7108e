"""Speed of reading captured traffic into arrays, compared with parsing the same lines by orjson.

Lines are in memory, so disk and network are not measured. Each form is timed in alternation with the parse, and the
fastest time of each counts. The promised ratio (at most 3 times the parse) applies to plain text with one row per
request. For lines with hundreds of rows, or base64, the parse reads one long string and no numbers, so a ratio says
nothing; the table shows rows per second. The stages of reading are timed as well, in one thread, and a floor: the parse
of the bodies alone by pyarrow (CSV) or DuckDB (JSON). Run it with both cores idle. The exit code is 1 if the ratio is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
from capture_lines import FORMS, INPUTS, START, lines  # type: ignore[import-not-found] # beside this script
from rich.console import Console
from rich.table import Table

from ml.aws.capture import batch_envelope_decoder, column_decoder, decode_pool, decoded_rows, duckdb_json, envelope
from ml.aws.capture.captured_lines import RANGE, Block, CapturedObject

ROOT = Path(__file__).resolve().parents[2]
MOST = 3.0
T = TypeVar("T")


def blocks(content: list[bytes]) -> Iterator[Block]:
    """The lines as blocks of bytes, as S3 returns them."""
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


def stages(content: list[bytes]) -> dict[str, float]:
    """Seconds of each stage of reading the lines in one thread, and as `bodies` of the parse of the inputs alone."""
    took: dict[str, float] = {}

    def timed(stage: str, call: Callable[[], T]) -> T:
        began = time.perf_counter()
        made = call()
        took[stage] = time.perf_counter() - began
        return made

    data = b"\n".join(content) + b"\n"
    [found] = timed("envelopes", lambda: batch_envelope_decoder.decode_envelopes(data, 0, 1 << 62)).requests
    given = timed("inputs", lambda: column_decoder.decode_inputs(found.given, found.given_form, INPUTS))
    answered = timed("answers", lambda: column_decoder.decode_answers(found.answered, found.answered_form))
    timed("rows", lambda: decoded_rows.assemble(found.times, found.inference_ids, given, answered))
    if found.given_form.layout == envelope.TABLE:
        text = pa.py_buffer("\n".join(found.given.to_pylist()).encode())
        options = pa_csv.ConvertOptions(column_types=dict.fromkeys(INPUTS, pa.float64()))
        names = pa_csv.ReadOptions(column_names=list(INPUTS), use_threads=False)
        timed("bodies", lambda: pa_csv.read_csv(text, read_options=names, convert_options=options))
    else:
        row = dict.fromkeys(INPUTS, "DOUBLE")
        shape = json.dumps({found.given_form.detail: [row]} if found.given_form.detail else row)
        query = f"SELECT from_json(text, {duckdb_json.sql_literal(shape)}) AS body FROM texts"  # noqa: S608 - constants
        timed("bodies", lambda: duckdb_json.query(query, found.given))
    return took


def measure(form: str, rows: int, rounds: int) -> dict[str, Any]:
    """Seconds of both, and their ratio."""
    kind, rows_per_request, encoded = FORMS[form]
    content = list(lines(rows, kind=kind, rows_per_request=rows_per_request, encoded=encoded))
    parse, ours, busy, profile = [], [], [], []
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
        profile.append(stages(content))
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
        "parse_rounds": parse,
        "read_rounds": ours,
        "stage_rounds": {stage: [each[stage] for each in profile] for stage in profile[0]},
        "rows_per_second": rows / best,
        "megabytes_per_second": size / best / 1e6,
    }


def main() -> int:
    """Prints the table, writes it to build/bench, and returns 1 if the promised ratio is missed."""
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
    summary = f"a row a request: {worst['ratio']:.2f} times the parse at worst ({worst['form']}), {MOST:g} at most"
    Console().print(f"{summary}: {'held' if ok else 'MISSED'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
