"""Reads and writes the files between the steps: a Parquet table per part, oldest rows first, and summary.json.

A fit has three parts: train, validation for the threshold, and test. The other kinds of run have train and test: they
choose the threshold on train rows that no coefficient was fitted on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.steps.job_runner import StepFailed

ID, TIME, LABEL, KNOWN, CHANNEL = "event_id", "event_time", "label", "known_at", "channel"
SUMMARY = "summary.json"


def write(folder: Path, tables: dict[str, pa.Table], summary: dict[str, Any]) -> None:
    """Writes each part as `folder`/PART.parquet, and the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, table in tables.items():
        # Numbers and ids hardly repeat: dictionaries of them would take most of the time and save nothing.
        texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name != ID]
        pq.write_table(table, folder / f"{part}.parquet", use_dictionary=texts or False)
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read(folder: Path, part: str) -> pd.DataFrame:
    """Reads one part: event_time, label, the inputs, and further columns that all transaction files had.

    Leaves out event_id: no later step needs it, and text takes as long to read as all numbers together.
    """
    path = folder / f"{part}.parquet"
    if not path.is_file():
        raise StepFailed(f"{path}: no such file; the Prepare step must have run")
    with pq.ParquetFile(path) as file:
        frame: pd.DataFrame = file.read([name for name in file.schema_arrow.names if name != ID]).to_pandas()
    return frame


def times(rows: pd.DataFrame) -> NDArray[np.datetime64]:
    """The event times of some rows, datetime64[us] in UTC."""
    return rows[TIME].astype("datetime64[us, UTC]").dt.tz_localize(None).to_numpy()


def summary(folder: Path) -> dict[str, Any]:
    """Reads the Prepare step's summary: row counts and windows."""
    document: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return document
