"""Draws the rows of the training benchmark, and trains on them as the Train step does, a process for each run.

`train_ours draw FOLDER SETS ROWS` writes train and validation rows as the Prepare step does, and as CSV,
and all inputs as rows.npy. `train_ours fit
FOLDER RATIO` prints JSON: seconds, processor seconds, recall, false-positive rate; and writes model.json.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from ml import config
from ml.model import document_fields, estimators, model_fit, stored_rows
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from ml.playground.template_state import FOLDER as SHIPPED
from ml.simulate import stand_in_data
from ml.steps import prepared_files
from ml.steps.prepared_rows import PreparedRows

TRAIN_SHARE = 5 / 7  # of the rows that a fit reads: model.yaml's .5 for training and .2 for validation
START = np.datetime64("2013-09-01T00:00:00", "us")
SECONDS = 2 * 86_400
ROWS = "rows.npy"
FRAUD_SHARE = stand_in_data.FRAUDS / stand_in_data.ROWS


def draw(folder: Path, sets: int, rows: int) -> None:
    """Writes `sets` stand-ins of `rows` rows, each two days later than the one before."""
    parts = []
    for seed in range(sets):
        table = stand_in_data.draw(rows, frauds=round(rows * FRAUD_SHARE), seed=seed)
        times = pc.add(table.column("Time"), float(seed * SECONDS))
        parts.append(table.set_column(table.schema.get_field_index("Time"), "Time", times))
    table = pa.concat_tables(parts).combine_chunks()
    moments = pa.array(START + (table.column("Time").to_numpy() * 1e6).astype("timedelta64[us]"))
    prepared = table.rename_columns(["label" if name == "Class" else name for name in table.column_names])
    prepared = prepared.add_column(0, "event_id", pa.array([f"{row:09d}" for row in range(table.num_rows)]))
    prepared = prepared.add_column(1, "event_time", moments.cast(pa.timestamp("us", "UTC")))
    split = round(TRAIN_SHARE * table.num_rows)
    ranges = {"train": (0, split), "validation": (split, table.num_rows - split)}
    prepared_files.write(folder, {part: prepared.slice(*place) for part, place in ranges.items()}, {})
    inputs = [name for name in table.column_names if name != "Class"]
    np.save(folder / ROWS, np.column_stack([table.column(name).to_numpy() for name in inputs]))
    for part, place in ranges.items():
        pyarrow.csv.write_csv(table.slice(*place), folder / f"{part}.csv")


def settings(ratio: float) -> Training:
    """The shipped settings with SMOTE's `ratio`, and the libraries of their estimator loaded."""
    training = config.load_settings(SHIPPED).training
    training = dataclasses.replace(training, resampling=dataclasses.replace(training.resampling, minority_ratio=ratio))
    estimators.load(training.estimator)
    return training


def trained(folder: Path, training: Training) -> tuple[model_fit.Fit, PreparedRows]:
    """The model of the rows, and the validation rows."""
    train, held = (prepared_files.rows(folder, part) for part in ("train", "validation"))
    return model_fit.fit(training, (train, train["label"]), (held, held["label"])), held


def fit(folder: Path, ratio: float) -> dict[str, float]:
    """Trains at SMOTE's `ratio`; the seconds, and how well the threshold does on the validation rows."""
    training = settings(ratio)
    began, worked = time.perf_counter(), time.process_time()
    made, held = trained(folder, training)
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - worked}
    text = document_fields.canonical(made.document(training))
    (folder / "model.json").write_text(text, encoding="utf-8")
    scorer = Scorer.from_json(text)
    alerts = scorer.decide(stored_rows.scores(scorer, held)) == 1
    frauds = held["label"].to_numpy() == 1
    rate = float(alerts[~frauds].mean())
    return took | {"recall": float(alerts[frauds].mean()), "false_positive_rate": rate}


def main() -> int:
    """Draws, or fits and prints one line of JSON."""
    verb, folder, *values = sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]
    answer = {}
    if verb == "draw":
        draw(folder, *map(int, values))
    else:
        answer = fit(folder, float(values[0]))
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
