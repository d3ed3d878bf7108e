"""Cost against size: training, import and drift check at ×1 to ×30 of 284,807 rows, on one machine and on Spark.

Every run is a process of its own. Its seconds begin when its libraries are loaded, so that what grows with the rows is
measured; processor seconds are those of all its threads, and on Spark those of all processes. A run that
docs/scale.json has is not repeated, so the program can be stopped and started again. `--render` writes docs/scale.md
and its picture from that file alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tests.benchmarks import scale_page
from tests.benchmarks.performance.measured import ROOT, Ended, run, script
from tests.benchmarks.scale_figures import Run
from tests.benchmarks.scale_page import FILE

ROWS = 284_807
SIZES = (1, 3, 10, 30)
SPARK_SIZES = (1, 3)
"""Driver and executors share the cores of one machine here, and take minutes where one process takes seconds."""
SHARD_SIZES = (1, 3, 10)
STEPS = "tests.benchmarks.performance.train_steps_ours"
SUBJECTS = (
    *("train", "import", "drift", "spark-1", "spark-2"),
    *("drift-spark-1", "drift-spark-2", "drift-shards-1", "drift-shards-2"),
)


def measure(subject: str, sets: int, folder: Path) -> Run:
    """One run of a subject on `sets` × 284,807 rows."""
    ways: dict[str, Callable[[int, Path], Sequence[Ended]]] = {
        "train": _train,
        "import": _import,
        "drift": _drift,
        "spark-1": partial(_spark, 1),
        "spark-2": partial(_spark, 2),
        "drift-spark-1": partial(_drift_on_spark, 1),
        "drift-spark-2": partial(_drift_on_spark, 2),
        "drift-shards-1": partial(_drift_on_shards, 1),
        "drift-shards-2": partial(_drift_on_shards, 2),
    }
    way = ways[subject]
    ended = way(sets, folder)
    return Run(
        subject=subject,
        rows=sets * ROWS,
        seconds=sum(float(each.answer["seconds"]) for each in ended),
        cpu_seconds=sum(float(each.answer["cpu_seconds"]) for each in ended),
        peak_megabytes=max(float(each.answer.get("peak_megabytes", each.peak_megabytes)) for each in ended),
        merge_cpu_seconds=sum(float(each.answer.get("merge_cpu_seconds", 0)) for each in ended),
        handed_over_megabytes=sum(float(each.answer.get("handed_over_megabytes", 0)) for each in ended),
    )


def _lake(sets: int, folder: Path) -> Path:
    """The rows of `sets` data sets as Prepare reads them, drawn if they are not there."""
    made = folder / f"steps-{sets}x{ROWS}"
    if not (made / "drawn").exists():
        run([sys.executable, "-m", STEPS, "draw", made, str(sets), str(ROWS)])
    return made


def _train(sets: int, folder: Path) -> list[Ended]:
    made = _lake(sets, folder)
    return [run([sys.executable, "-m", STEPS, step, made]) for step in ("prepare", "train", "evaluate")]


def _spark(executors: int, sets: int, folder: Path) -> list[Ended]:
    """Prepare and Train with so many executors of one core each; Evaluate runs on one machine."""
    made = _lake(sets, folder)
    work = folder / f"spark-{executors}-{sets}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return [run([sys.executable, "-m", "tests.benchmarks.scale_spark", made, work, str(executors)])]


def _import(sets: int, folder: Path) -> list[Ended]:
    """`fraudops data import` of a Parquet file; the lake's server is another process."""
    made = folder / f"import-{sets}"
    if not (made / "rows.parquet").exists():
        run([sys.executable, "-m", "tests.benchmarks.scale_import", "draw", made, str(sets), str(ROWS)])
    return [run([sys.executable, "-m", "tests.benchmarks.scale_import", "serve", made])]


def _drift(sets: int, folder: Path) -> list[Ended]:
    """A window's captured traffic and late labels, as lines that are generated while they are read."""
    del folder
    (window,) = script("capture_memory", "--rows", str(sets * ROWS // 100 * 100))["windows"]
    return [Ended(answer=window, peak_megabytes=window["peak_megabytes"])]


def _drift_on_spark(executors: int, sets: int, folder: Path) -> list[Ended]:
    """The same counts from captured objects on disk, with so many executors of one core each."""
    del folder
    rows = sets * ROWS // 100 * 100
    answer = script("scale_drift_spark", "--rows", str(rows), "--executors", str(executors))
    return [Ended(answer=answer, peak_megabytes=answer["peak_megabytes"])]


def _drift_on_shards(instances: int, sets: int, folder: Path) -> list[Ended]:
    """The same counts on so many instances that share the objects, and the merge."""
    del folder
    rows = sets * ROWS // 100 * 100
    answer = script("scale_drift_shards", "--rows", str(rows), "--instances", str(instances))
    return [Ended(answer=answer, peak_megabytes=answer["peak_megabytes"])]


def main() -> int:
    """Measures what is missing, and writes file, picture and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--render", action="store_true", help="write page and picture; no run")
    options = parser.parse_args()
    known: list[dict[str, Any]] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else []
    runs = [Run(**each) for each in known]
    wanted = [(subject, sets) for sets in SIZES for subject in options.only if sets in _sizes(subject)]
    for subject, sets in [] if options.render else wanted:
        if any((each.subject, each.rows) == (subject, sets * ROWS) for each in runs):
            continue
        runs.append(measure(subject, sets, ROOT / "build/bench"))
        print(f"{subject} ×{sets}: {runs[-1].seconds:.1f} s, {runs[-1].peak_megabytes:.0f} MB", flush=True)
        runs.sort(key=lambda each: (SUBJECTS.index(each.subject), each.rows))
        FILE.write_text(json.dumps([each.to_dict() for each in runs], indent=2) + "\n", "utf-8")
    missing = [subject for subject in SUBJECTS if sum(run.subject == subject for run in runs) < 2]
    if missing:
        print(f"the page needs two sizes or more of each subject; missing: {', '.join(missing)}", file=sys.stderr)
        return 1
    scale_page.write(runs)
    return 0


def _sizes(subject: str) -> tuple[int, ...]:
    return SPARK_SIZES if "spark" in subject else SHARD_SIZES if "shards" in subject else SIZES


if __name__ == "__main__":
    sys.exit(main())
