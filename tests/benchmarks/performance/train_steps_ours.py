"""Draws a lake for the benchmark of the steps, and runs one step on it, a process for each run.

`train_steps_ours draw FOLDER SETS ROWS` writes settings and a data set of `SETS` stand-ins, a file each, one after the
other in time. `train_steps_ours STEP FOLDER` runs prepare, train or evaluate there, and prints JSON: seconds and
processor seconds, without imports. The steps must run in that order.
"""

from __future__ import annotations

import json
import sys
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml import config
from ml.model import estimators
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from ml.steps import evaluate, prepare, train
from tests.benchmarks.performance.train_ours import FRAUD_SHARE, SECONDS, START

GROUP_ROWS = 100_000  # as the lake's files have
PROVENANCE = {"commit": "0" * 40, "config_sha256": "0" * 64, "data_sha256": "0" * 64}


def draw(folder: Path, sets: int, rows: int) -> None:
    """Writes the settings and the lake; one set at a time is in memory."""
    base = folder / "processing"
    for seed in range(sets):
        table = stand_in_data.draw(rows, frauds=round(rows * FRAUD_SHARE), seed=seed)
        times = pc.add(table.column("Time"), float(seed * SECONDS))
        moments = pa.array(START + (times.to_numpy() * 1e6).astype("timedelta64[us]")).cast(pa.timestamp("us", "UTC"))
        ids = pa.array([f"{seed:06x}-{row:08x}" for row in range(rows)])
        raw = table.set_column(table.schema.get_field_index("Time"), "Time", times).drop_columns(["Class"])
        raw = raw.add_column(0, "event_id", ids).add_column(1, "event_time", moments)
        labels = pa.table({"event_id": ids, "label": table.column("Class").cast(pa.int8()), "known_at": moments})
        for kind, content in (("raw", raw), ("labels", labels)):
            path = base / "dataset" / kind / f"{seed:06d}" / "rows.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(content, path, row_group_size=GROUP_ROWS, use_dictionary=False)
    (base / "settings").mkdir(exist_ok=True)
    (base / "settings/settings.json").write_text(config.load_settings(SHIPPED).to_json(), encoding="utf-8")
    (folder / "drawn").touch()


def run_step(step: str, folder: Path) -> dict[str, float]:
    """Runs one step; the seconds."""
    base, trained = folder / "processing", folder / "model"
    calls: Mapping[str, Callable[[], Any]] = {
        "prepare": lambda: prepare.prepare(base, "fit", "", ""),
        "train": lambda: train.train(base / "settings", base / "prepared", trained, kind="fit", champion=None),
        "evaluate": lambda: evaluate.evaluate(base, "fit", PROVENANCE, ""),
    }
    estimators.load(config.load_settings(SHIPPED).training.estimator)
    with threadpool_limits(limits=1):
        began, worked = time.perf_counter(), time.process_time()
        calls[step]()
        took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
    if step == "train":
        (base / "model").mkdir(exist_ok=True)
        with tarfile.open(base / "model/model.tar.gz", "w:gz") as archive:
            archive.add(trained, ".")
    return took


def main() -> int:
    """Draws, or runs a step and prints one line of JSON."""
    verb, folder, *values = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
    answer = {}
    if verb == "draw":
        draw(folder, *values)
    else:
        answer = run_step(verb, folder)
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
