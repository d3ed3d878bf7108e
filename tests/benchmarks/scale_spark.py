"""Prepare and Train on Spark with worker processes on this machine, for scale.py.

`scale_spark FOLDER WORK EXECUTORS` starts Spark, whose application is this file again without the last argument. The
application reads the lake in FOLDER, writes to WORK and prints JSON: the seconds of both steps, without Spark's start.
The processor seconds are those of all processes and include it.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

MEMORY_MEGABYTES = 6_144
"""Of an executor. With 1 GB, Spark's default, one executor ends for lack of memory on 2.8 million rows."""


def start(folder: Path, work: Path, executors: int) -> dict[str, float]:
    """Runs the application to its end; its answer with the processor seconds of its processes, and the largest's peak.

    Raises:
        RuntimeError: it failed; the message has its last lines.
    """
    from tests.spark.submitted import submit

    program = str(Path(__file__).resolve())
    process = submit(program, str(folder), str(work), folder=work, workers=executors, memory_megabytes=MEMORY_MEGABYTES)
    code = process.wait()
    if code:
        raise RuntimeError((work / "errors").read_text("utf-8", "replace")[-3_000:])
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer: dict[str, float] = json.loads((work / "answer.json").read_text("utf-8"))
    return answer | {"cpu_seconds": used.ru_utime + used.ru_stime}


def apply(folder: Path, work: Path) -> None:
    """The application."""
    from ml.spark import prepare, train
    from ml.spark.spark_cluster import connect

    base = work / "processing"
    base.mkdir()
    for name in ("settings", "dataset"):
        (base / name).symlink_to(folder / "processing" / name)
    with connect() as cluster, tempfile.TemporaryDirectory() as model:
        began = time.perf_counter()
        prepare.prepare(cluster, base, "fit", "", "")
        prepared = time.perf_counter()
        train.train(cluster, base, Path(model), kind="fit", champion_sha256="")
        ended = time.perf_counter()
    answer = {"seconds": ended - began, "prepare_seconds": prepared - began, "train_seconds": ended - prepared}
    (work / "answer.json").write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(start(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))))
    else:
        apply(Path(sys.argv[1]), Path(sys.argv[2]))
