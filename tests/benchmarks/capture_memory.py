"""Peak memory of a drift check for 200,000 to 20 million captured rows, which are generated as a stream.

Each size runs in a process of its own, which generates captured lines while it reads them, decodes them, batches them
as for objects in S3, counts them, joins them with late labels on disk, and reads and counts the labelled rows. The
table shows the peak of resident memory. The exit code is 1 if the largest window takes more than 1.5 times the memory
of the smallest.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from capture_lines import INPUTS, START, line  # type: ignore[import-not-found] # beside this script
from drift_speed import reference  # type: ignore[import-not-found] # beside this script
from rich.console import Console
from rich.table import Table

from tests.benchmarks.performance.measured import peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
BUCKET, ENDPOINT, PER_REQUEST, REQUESTS = "capture-memory", "fraud", 100, 200
GROWTH = 1.5


def blocks(rows: int) -> Iterator[Any]:
    """Blocks of lines with different inference ids; the values repeat, which does not affect reading."""
    from ml.aws.capture.captured_lines import Block, CapturedObject

    generator = np.random.default_rng(0)
    made = [
        line(
            np.abs(generator.normal(size=(PER_REQUEST, len(INPUTS)))),
            generator.random(PER_REQUEST),
            7,
            kind="csv",
            encoded=False,
        )
        for _ in range(REQUESTS)
    ]
    source = CapturedObject(key=f"capture/{ENDPOINT}/v/2026/03/01/00/a.jsonl", bytes=0, etag="", hour=START)
    for first in range(0, rows // PER_REQUEST, 20):
        some = [
            made[place % REQUESTS].replace(b'"inferenceId":"r-7"', b'"inferenceId":"r-%d"' % place)
            for place in range(first, min(first + 20, rows // PER_REQUEST))
        ]
        yield Block(source=source, first=1, data=b"\n".join(some))


def deliver(rows: int) -> None:
    """Labels of every row, in deliveries of a million."""
    from ml.aws.labels import join

    for table in labels(rows):
        join.deliver(BUCKET, table)


def label_tables(rows: int, folder: Path) -> Iterator[str]:
    """The same as files below `folder`; their names."""
    import pyarrow.parquet as pq

    for number, table in enumerate(labels(rows)):
        name = f"labels/late-{number}/labels.parquet"
        (folder / name).parent.mkdir(parents=True)
        pq.write_table(table, folder / name)
        yield name


def window_model() -> Any:
    """What a drift check asks of the model."""
    generator = np.random.default_rng(1)
    known = np.abs(generator.normal(size=(20_000, len(INPUTS))))
    return SimpleNamespace(
        reference=reference(known, (generator.random(len(known)) < 0.01).astype(np.int8), list(INPUTS)),
        scorer=SimpleNamespace(document=SimpleNamespace(iso_times=None)),
        amount="Amount",
        version="0007",
    )


def labels(rows: int) -> Iterator[Any]:
    """Labels of every row, a million at a time."""
    import pyarrow as pa

    from ml.aws.labels import store

    for first in range(0, rows, 1_000_000):
        places = np.arange(first, min(first + 1_000_000, rows))
        ids = pa.array([f"r-{place // PER_REQUEST}#{place % PER_REQUEST}" for place in places.tolist()])
        known = pa.array([START + timedelta(days=9)] * len(places), pa.timestamp("us", "UTC"))
        table = pa.table({"event_id": ids, "label": (places % 500 == 0).astype(np.int8), "known_at": known})
        yield table.cast(store.SCHEMA)


def run(rows: int) -> None:
    """Checks a window of this many rows in this process; prints its memory as JSON."""
    from ml.aws.capture import line_stream
    from ml.aws.capture.traffic_counts import CountedModel
    from ml.config.settings_files import LabelLimits
    from ml.drift import traffic_aggregation

    # Everything is as it is in production but for where the lines come from.
    setattr(line_stream, "blocks", lambda bucket, found: blocks(rows))  # noqa: B010 - a function in another's place
    model = window_model()
    model.counted = CountedModel(reference=model.reference, version=model.version, amount="Amount", iso_times=None)
    idle = peak_megabytes()
    begin, worked = time.perf_counter(), time.process_time()
    summary, outcomes, _ = traffic_aggregation.read(
        BUCKET,
        ENDPOINT,
        (START, START + timedelta(days=1)),
        model=model,
        limits=LabelLimits(min_coverage=0.99, min_age_days=30, min_mature=0.9),
        now=START + timedelta(days=40),
    )
    labelled = sum(day.labelled for day in outcomes.days.values()) if outcomes else 0
    took = {
        "rows": summary.rows,
        "labelled": labelled,
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - worked,
        "idle_megabytes": idle,
        "peak_megabytes": peak_megabytes(),
    }
    if (summary.rows, labelled) != (rows, rows):
        sys.exit(f"{summary.rows} rows and {labelled} labels came of {rows}")
    sys.stdout.write(json.dumps(took) + "\n")


def measure(rows: int, url: str) -> dict[str, Any]:
    """The memory for `rows` rows, measured in a process of its own that joins the labels at `url`."""
    own = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "eu-west-1",
    }
    os.environ.update(own)
    from ml.aws.session import client
    from tests.harness.aws import moto_server

    moto_server.reset(url)
    client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    deliver(rows)
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(rows)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    """Prints the table, writes it to build/bench, and returns 1 if memory grows with the window."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[200_000, 2_000_000, 20_000_000])
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run(options.child)
        return 0
    from tests.harness.aws import moto_server

    with moto_server.served() as url:
        found = [measure(rows, url) for rows in options.rows]
    table = Table(title="memory of a drift check")
    for name in ("rows", "seconds", "before, MB", "peak, MB"):
        table.add_column(name, justify="right")
    for item in found:
        table.add_row(
            f"{item['rows']:,}",
            f"{item['seconds']:.1f}",
            f"{item['idle_megabytes']:.0f}",
            f"{item['peak_megabytes']:.0f}",
        )
    Console().print(table)
    out = ROOT / "build" / "bench" / "capture_memory.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"windows": found, "growth": GROWTH}, indent=2) + "\n")
    flat = found[-1]["peak_megabytes"] <= GROWTH * found[0]["peak_megabytes"]
    Console().print("memory is flat" if flat else "memory GROWS with the window")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
