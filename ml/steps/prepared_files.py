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

from ml.model.stored_rows import BLOCK_ROWS, Rows
from ml.steps.prepared_rows import PreparedRows

ID, TIME, LABEL, KNOWN, CHANNEL = "event_id", "event_time", "label", "known_at", "channel"
SUMMARY = "summary.json"


def write(folder: Path, tables: dict[str, pa.Table], summary: dict[str, Any]) -> None:
    """Writes each part as `folder`/PART.parquet, and the summary."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, table in tables.items():
        with writer(folder, part, table.schema) as file:
            file.write_table(table, row_group_size=BLOCK_ROWS)
    write_summary(folder, summary)


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Writes what later steps and people read about the parts."""
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def writer(folder: Path, part: str, schema: pa.Schema) -> pq.ParquetWriter:
    """Writes a part in row groups, which should have BLOCK_ROWS.

    Numbers and ids hardly repeat: to make dictionaries of them, or to compress them, would take most of the time of
    writing and reading and save nothing.
    """
    texts = [field.name for field in schema if pa.types.is_string(field.type) and field.name != ID]
    return pq.ParquetWriter(
        folder / f"{part}.parquet",
        schema,
        use_dictionary=texts or False,
        compression={name: "snappy" if name in texts else "none" for name in schema.names},
        write_statistics=False,
    )


def rows(folder: Path, part: str) -> PreparedRows:
    """One part, to be read by column or by block."""
    return PreparedRows.of(folder / f"{part}.parquet")


def read(folder: Path, part: str) -> pd.DataFrame:
    """Reads one part: event_time, label, the inputs, and further columns that all transaction files had.

    Leaves out event_id: no later step needs it, and text takes as long to read as all numbers together.
    """
    stored = rows(folder, part)
    return stored.frame([name for name in stored.columns if name != ID])


def times(rows: Rows) -> NDArray[np.datetime64]:
    """The event times of some rows, datetime64[us] in UTC."""
    return rows[TIME].astype("datetime64[us, UTC]").dt.tz_localize(None).to_numpy()


def summary(folder: Path) -> dict[str, Any]:
    """Reads the Prepare step's summary: row counts and windows."""
    document: dict[str, Any] = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    return document
