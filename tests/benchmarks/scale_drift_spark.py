"""A drift check's counts on Spark with worker processes on this machine, for scale.py.

`scale_drift_spark.py --rows N --executors E` lays a window of N captured rows and their labels, as `capture_memory.py`
generates them, below build/bench, and starts Spark, whose application is this file with the folder alone. It prints
the seconds of the counts, without Spark's start, and writes them to build/bench/scale_drift_spark.json; processor
seconds are those of all processes, executors' among them, and include the start.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/bench/scale_drift_spark.json"
MEMORY_MEGABYTES = 6_144
"""Of an executor, as for trainings."""
OBJECT_BLOCKS = 200
"""Blocks of 2,000 rows of an object: some 270 MB."""


def lay(base: Path, rows: int, executors: int, *, object_blocks: int = OBJECT_BLOCKS) -> None:
    """Writes the job's inputs below `base`."""
    from capture_lines import INPUTS, START  # type: ignore[import-not-found] # beside this script
    from capture_memory import (  # type: ignore[import-not-found] # beside this script
        BUCKET,
        ENDPOINT,
        blocks,
        label_tables,
        window_model,
    )

    from ml.aws.capture.captured_lines import CapturedObject
    from ml.aws.capture.summary_request import REQUEST, SummaryRequest
    from ml.aws.capture.traffic_counts import CountedModel

    shutil.rmtree(base, ignore_errors=True)
    objects: list[CapturedObject] = []
    for number, some in enumerate(_grouped(blocks(rows), object_blocks)):
        key = f"capture/{ENDPOINT}/v/2026/03/01/00/{number:05d}.jsonl"
        file = base / "capture" / key
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as target:
            target.writelines(data + b"\n" for data in some)
        objects.append(CapturedObject(key=key, bytes=file.stat().st_size, etag="", hour=START))
    labels = tuple(label_tables(rows, base / "labels"))
    model: Any = window_model()
    request = SummaryRequest(
        bucket=BUCKET,
        start=START,
        end=START + timedelta(days=1),
        as_of=START + timedelta(days=40),
        min_coverage=0.99,
        min_age_days=30,
        model=CountedModel(reference=model.reference, version=model.version, amount="Amount", iso_times=None),
        objects=tuple(objects),
        labels=labels,
        instances=executors,
    )
    assert tuple(model.reference.names) == tuple(INPUTS)
    (base / "request").mkdir()
    (base / "request" / REQUEST).write_text(request.to_json(), "utf-8")


def _grouped(found: Iterator[Any], size: int) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    for block in found:
        group.append(block.data)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def apply(base: Path) -> None:
    """The application."""
    from ml.aws.capture.summary_request import REQUEST, SUMMARY, SummaryRequest
    from ml.spark import drift
    from ml.spark.spark_cluster import connect

    request = SummaryRequest.from_json((base / "request" / REQUEST).read_text("utf-8"))
    with connect() as cluster:
        began = time.perf_counter()
        drift.count(cluster, request, base)
        seconds = time.perf_counter() - began
        used = processor_seconds(os.getppid())
    counted = json.loads((base / "summary" / SUMMARY).read_text("utf-8"))
    labelled = sum(day["labelled"] for day in counted["counts"]["labels"]["days"])
    answer = {"seconds": seconds, "cpu_seconds": used, "rows": counted["summary"]["rows"], "labelled": labelled}
    (base / "answer.json").write_text(json.dumps(answer), "utf-8")


def processor_seconds(root: int) -> float:
    """Of the process `root` and all below it, those that have ended included."""
    parents: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile, and was none of these
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        ticks[int(stat.parent.name)] = sum(map(int, fields[11:15]))
    waiting, total = [root], 0
    while waiting:
        process = waiting.pop()
        total += ticks[process]
        waiting += parents.get(process, [])
    return total / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Lays the window and runs the application.

    Raises:
        RuntimeError: it failed, or did not count every row; the message has its last lines.
    """
    from tests.spark.submitted import submit

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--executors", type=int, required=True)
    options = parser.parse_args()
    work = ROOT / f"build/bench/drift-spark-{options.executors}-{options.rows}"
    shutil.rmtree(work, ignore_errors=True)
    lay(work / "processing", options.rows, options.executors)
    program, base = str(Path(__file__).resolve()), str(work / "processing")
    process = submit(program, base, folder=work, workers=options.executors, memory_megabytes=MEMORY_MEGABYTES)
    if process.wait():
        raise RuntimeError((work / "errors").read_text("utf-8", "replace")[-3_000:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads((work / "processing/answer.json").read_text("utf-8"))
    if (answer["rows"], answer["labelled"]) != (options.rows, options.rows):
        raise RuntimeError(f"{answer['rows']} rows and {answer['labelled']} labels came of {options.rows}")
    shutil.rmtree(work)
    answer["peak_megabytes"] = used.ru_maxrss / 1_024
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(answer), "utf-8")
    print(json.dumps(answer))


if __name__ == "__main__":
    if len(sys.argv) == 2:
        apply(Path(sys.argv[1]))
    else:
        main()
