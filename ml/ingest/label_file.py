"""Reads a file of labels, as files of transactions are read, and locates the rows that break their contract.

data.yaml names the columns, in any order; others are ignored. Stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ml import config
from ml.aws.labels.store import DELIVERED_SCHEMA
from ml.errors import DataError
from ml.ingest import cell_types, data_file, event_times, label_rules, table_file
from ml.ingest.cell_types import Cast
from ml.ingest.content import Content
from ml.ingest.label_rules import CHANNEL, EVENT_ID, KNOWN_AT, LABEL
from ml.ingest.table_file import Layout
from ml.model import time_units

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """The content of a label file: its rows = those of `labels` + `repeated` + the rows with a fault."""

    content: Content
    labels: pa.Table
    """Rows without a fault, each once, as `ml.aws.labels.store.deliver` takes them."""
    repeated: int
    """Rows that repeat another row in every column."""
    ignored: tuple[str, ...]
    """Columns that are none of a label."""

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.content.frame)

    @property
    def faulty_rows(self) -> int:
        """The number of rows with a fault."""
        return int(self.content.bad.sum())


def read(
    path: str,
    columns: config.LabelColumns,
    *,
    channel: str | None,
    now: datetime,
    partition: Mapping[str, str] | None = None,
) -> LabelFile:
    """Reads the label file at `path` (local or s3://).

    Args:
        columns: which column is what.
        channel: the channel of all labels of a file without a column of channels; that of `columns` if None.
        now: a label that becomes known later is a fault.
        partition: columns that the file's path gives, as Hive's `channel=analyst`; a column of the file comes first.

    Raises:
        DataError: as `table_file.opened`, or the file has a column of channels and `channel` is given.
        CloudError: S3 denies access or cannot be reached.
    """

    optional = set() if columns.channel.column is None else {columns.channel.column}
    given = {name: name for name in (*columns.required, *optional)}

    def casts(names: Sequence[str]) -> list[Cast] | str:
        known = data_file.product_names(names, given)
        problem = label_rules.layout_problem(known, columns)
        return problem or [replace(cast, source=names[known.index(cast.source)]) for cast in _casts(known, columns)]

    layout = Layout(names=given, casts=casts, partition=partition or {})
    with table_file.opened(path, layout) as file:
        if channel is not None and any(cast.name == CHANNEL for cast in file.casts):
            raise DataError(
                f"{path}: has a column {columns.channel.column!r}, so --channel has no effect; leave it out"
            )
        frame, known = _typed(file.arrays(), columns)
        faults = label_rules.faults(frame, columns, known, now=now)
        content = file.content(frame, faults, checked=DELIVERED_SCHEMA.names)
        read_names = {cast.source for cast in file.casts}
        ignored = tuple(name for name in file.names if name not in read_names)
    every = _table(frame[~content.bad], columns, channel or columns.channel.default)
    distinct = every.group_by(DELIVERED_SCHEMA.names, use_threads=False).aggregate([]).select(DELIVERED_SCHEMA.names)
    return LabelFile(
        content=content,
        labels=distinct.cast(DELIVERED_SCHEMA).combine_chunks(),
        repeated=every.num_rows - distinct.num_rows,
        ignored=ignored,
    )


def _casts(names: Sequence[str], columns: config.LabelColumns) -> list[Cast]:
    known_at, channel = columns.known_at, columns.channel.column
    return [
        Cast(name=EVENT_ID, source=columns.event_id, kind=cell_types.ID),
        Cast(name=LABEL, source=columns.label, kind=cell_types.NUMBER),
        cell_types.time_cast(KNOWN_AT, known_at.column, known_at.unit, known_at.zone),
        *([] if channel not in names else [Cast(name=CHANNEL, source=str(channel), kind=cell_types.CATEGORY)]),
    ]


def _typed(arrays: dict[str, Any], columns: config.LabelColumns) -> tuple[pd.DataFrame, Any]:
    """The labels as a frame, and the times as numbers in the unit of `columns`, None if they are ISO times."""
    unit, known = columns.known_at.unit, None
    if unit == time_units.ISO:
        moments = pd.Series(arrays[KNOWN_AT]).dt.tz_localize("UTC")
    else:
        known = arrays[KNOWN_AT]
        moments = event_times.moments_of(known * (_MICROSECONDS / time_units.per_second(unit)))
    return pd.DataFrame(arrays | {KNOWN_AT: moments}, copy=False), known


def _table(frame: pd.DataFrame, columns: config.LabelColumns, channel: str) -> pa.Table:
    """Valid rows as labels of the lake."""
    channels = frame[CHANNEL].map(columns.channel.values) if CHANNEL in frame else [channel] * len(frame)
    times = frame[KNOWN_AT].dt.tz_localize(None).to_numpy().astype("M8[us]")
    return pa.table(
        {
            EVENT_ID: pa.array(frame[EVENT_ID], pa.string()),
            LABEL: pa.array(frame[LABEL].to_numpy().astype(np.int8)),
            KNOWN_AT: pa.array(times, pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
            CHANNEL: pa.array(channels, pa.string()),
        },
        schema=DELIVERED_SCHEMA,
    )
