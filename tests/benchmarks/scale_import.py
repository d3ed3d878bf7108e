"""Draws a file of transactions, and imports it into a lake, for scale.py.

`scale_import draw FOLDER SETS ROWS` writes rows.parquet. `scale_import serve FOLDER` serves an empty lake and runs
`scale_import import FOLDER` in a process of its own, which imports the file and prints JSON: seconds, processor
seconds, peak of memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml import config
from ml.aws.lake import Lake
from ml.commands.data_import import import_data
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from tests.benchmarks.performance.measured import peak_megabytes
from tests.benchmarks.performance.train_ours import FRAUD_SHARE, SECONDS

BUCKET = "scale-import"


def draw(folder: Path, sets: int, rows: int) -> None:
    """Writes the stand-ins one after the other in time; one at a time is in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    part, writer = folder / "rows.part", None
    for seed in range(sets):
        table = stand_in_data.draw(rows, frauds=round(rows * FRAUD_SHARE), seed=seed)
        times = pc.add(table.column("Time"), float(seed * SECONDS))
        table = table.set_column(table.schema.get_field_index("Time"), "Time", times)
        writer = writer or pq.ParquetWriter(part, table.schema)
        writer.write_table(table)
    if writer is None:
        raise ValueError(f"sets must be 1 or more (got {sets})")
    writer.close()
    part.rename(folder / "rows.parquet")


def run_import(folder: Path) -> dict[str, float]:
    """Imports the file; the seconds, and the peak of this process's memory since it began."""
    data = config.load_data(SHIPPED)
    began, worked = time.perf_counter(), time.process_time()
    report = import_data(
        str(folder / "rows.parquet"), lake=Lake(BUCKET), columns=data.to_columns(), start=None, quarantine=False
    )
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
    return took | {"rows": report.imported, "peak_megabytes": peak_megabytes()}


def serve(folder: Path) -> int:
    """Serves the lake until the import has ended; returns its exit code."""
    from tests.harness.aws import moto_server

    with moto_server.served() as url:
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "eu-west-1",
        }
        moto_server.make_bucket(BUCKET)
        command = [sys.executable, "-m", "tests.benchmarks.scale_import", "import", str(folder)]
        return subprocess.run(command, check=False).returncode


def main() -> int:
    """Draws, serves, or imports; prints one line of JSON."""
    verb, folder, *values = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
    if verb == "serve":
        return serve(folder)
    answer = {}
    if verb == "draw":
        draw(folder, *values)
    else:
        answer = run_import(folder)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
