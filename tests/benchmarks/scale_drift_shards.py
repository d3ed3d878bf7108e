"""A drift check's counts on instances that share the captured objects, without Spark, for scale.py.

`scale_drift_shards.py --rows N --instances I` lays a window of N captured rows and their labels, as `capture_memory.py`
generates them, below build/bench. Each instance is a process with one core's worth of work, and they run one after the
other, so that they do not share this machine's cores; the merge is a process that follows. It prints the seconds of the
slowest instance and of the merge, the processor seconds of all, and writes them to build/bench/scale_drift_shards.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.performance.measured import peak_megabytes

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build/bench/scale_drift_shards.json"
OBJECT_BLOCKS = 20
"""Blocks of 2,000 rows of an object: some 25 MB."""


def count(base: Path, host: str) -> dict[str, Any]:
    """Runs an instance: it has every object whose number is its own."""
    from ml.aws.capture.summary_request import REQUEST, SummaryRequest
    from ml.shards import count as counting

    request = SummaryRequest.from_json((base / "request" / REQUEST).read_text("utf-8"))
    return _measured(lambda: counting.count(request, base / host, host=host, processes=1))


def merge(base: Path) -> dict[str, Any]:
    """Runs the merge, from files instead of objects in S3."""
    from ml.aws.capture.summary_request import REQUEST, SummaryRequest
    from ml.shards.merge import Merged
    from ml.shards.merge import merge as merged

    request = SummaryRequest.from_json((base / "request" / REQUEST).read_text("utf-8"))
    folder, found = base / "uploaded", list[Merged]()
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    measured = _measured(lambda: found.append(merged(request, names, lambda name: (folder / name).read_bytes())))
    labels = found[0].counts["labels"]["days"]
    handed_over = sum((folder / name).stat().st_size for name in names)
    return measured | {
        "rows": found[0].summary.rows,
        "labelled": sum(day["labelled"] for day in labels),
        "handed_over_megabytes": handed_over / 1e6,
    }


def _measured(call: Any) -> dict[str, Any]:
    began, worked = time.perf_counter(), time.process_time()
    call()
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - worked,
        "peak_megabytes": peak_megabytes(),
    }


def _run(base: Path, *words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale_drift_shards", *words, str(base)]
    answer = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return found


def _divide(base: Path, instances: int) -> list[str]:
    """Gives each instance its share of objects and label files; their names."""
    hosts = [f"algo-{number + 1}" for number in range(instances)]
    for name in ("capture", "labels"):
        files = sorted(path for path in (base / name).rglob("*") if path.is_file())
        for place, path in enumerate(files):
            target = base / hosts[place % instances] / path.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
    return hosts


def main() -> None:
    """Lays the window and runs instances and merge.

    Raises:
        RuntimeError: not every row was counted.
    """
    from tests.benchmarks import scale_drift_spark

    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--instances", type=int, required=True)
    options = parser.parse_args()
    base = ROOT / f"build/bench/drift-shards-{options.instances}-{options.rows}"
    scale_drift_spark.lay(base, options.rows, options.instances, object_blocks=OBJECT_BLOCKS)
    counted = []
    for host in _divide(base, options.instances):
        counted.append(_run(base, "count", host))
        (base / "uploaded").mkdir(exist_ok=True)
        (base / host / "summary" / host).rename(base / "uploaded" / host)
    merged = _run(base, "merge")
    if (merged["rows"], merged["labelled"]) != (options.rows, options.rows):
        raise RuntimeError(f"{merged['rows']} rows and {merged['labelled']} labels came of {options.rows}")
    shutil.rmtree(base)
    answer = {
        "seconds": max(each["seconds"] for each in counted) + merged["seconds"],
        "cpu_seconds": sum(each["cpu_seconds"] for each in (*counted, merged)),
        "peak_megabytes": max(each["peak_megabytes"] for each in (*counted, merged)),
        "slowest_instance_seconds": max(each["seconds"] for each in counted),
        "merge_seconds": merged["seconds"],
        "merge_cpu_seconds": merged["cpu_seconds"],
        "handed_over_megabytes": merged["handed_over_megabytes"],
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(answer), "utf-8")
    print(json.dumps(answer))


if __name__ == "__main__":
    if sys.argv[1] == "count":
        print(json.dumps(count(Path(sys.argv[3]), sys.argv[2])))
    elif sys.argv[1] == "merge":
        print(json.dumps(merge(Path(sys.argv[2]))))
    else:
        main()
