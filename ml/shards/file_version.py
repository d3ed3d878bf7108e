"""Names the form of the files that instances leave for the merge, so that code of another form does not read them.

The version is made from what this code writes, not from a number that somebody must remember to raise. Calls no
service.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws.capture.captured_batches import Batch, CaptureCounts
from ml.aws.capture.summary_request import SummaryRequest
from ml.aws.capture.traffic_counts import TrafficCounts
from ml.aws.labels.join_tables import CHARGEBACK, JoinTables, scored_rows
from ml.shards import bucket_files
from ml.spark import traffic

_MOMENT = datetime(2020, 1, 1, tzinfo=UTC)
_IDS = ("", "a", "event-1", "030105-1#19", "\u00e9" * 40)
_BUCKETS = 1_000_003
"""More than a window has, so that two hash functions do not agree on the buckets of all ids."""


def of(request: SummaryRequest) -> str:
    """The version of the files of a job: a digest of their names, of a row and a label as they are written, of the
    buckets of some ids, and of the keys of the counts."""
    ids = pa.table({"id": [*_IDS]})
    form = {
        "names": [bucket_files.name(kind, 1) for kind in (traffic.ROWS, traffic.LABELS)],
        "ids": [bucket for bucket, _ in traffic.by_bucket(_BUCKETS, ids)],
        "rows": _plain(_row(request)),
        "labels": _plain(_label()),
        "summary": _keys(TrafficCounts.none(request.model).summary.to_dict()),
        "counts": _keys(CaptureCounts().to_dict()),
    }
    return hashlib.sha256(json.dumps(form, sort_keys=True).encode()).hexdigest()


def _row(request: SummaryRequest) -> pa.Table:
    text = pa.array(["event-1"])
    batch = Batch(
        names=request.keep,
        inputs=np.full((1, len(request.keep)), 1.5),
        scores=np.array([0.25]),
        decisions=np.array([1], dtype=np.int8),
        times=np.array([_MOMENT.replace(tzinfo=None)], dtype="datetime64[us]"),
        event_ids=text,
        model_versions=text,
        inference_ids=text,
    )
    return scored_rows(batch, first=7, keep=request.keep)


def _label() -> pa.Table:
    columns = {
        "event_id": pa.array(["event-1"]),
        "label": pa.array([1], pa.int8()),
        "known_at": pa.array([_MOMENT], pa.timestamp("us", "UTC")),
        "channel": pa.array([CHARGEBACK]),
    }
    with tempfile.TemporaryDirectory(prefix="fraudops-version-") as name:
        file = Path(name) / "labels.parquet"
        pq.write_table(pa.table(columns), file)
        with JoinTables(Path(name), ()) as tables:
            tables.start_labels()
            tables.add_label_file(file, str(file), _MOMENT)
            return pa.concat_tables(tables.labels(1))


def _plain(table: pa.Table) -> list[list[Any]]:
    """Names, types and values. Not Arrow's bytes: image and runner may have different versions of Arrow."""
    return [[item.name, str(item.type), table[item.name].to_pylist()] for item in table.schema]


def _keys(document: Any) -> Any:
    """A document without its values, except for the number of its schema."""
    if not isinstance(document, Mapping):
        return None
    return {
        key: value if key == "schema" and isinstance(value, int) else _keys(value) for key, value in document.items()
    }
