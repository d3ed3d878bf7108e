"""Reads the labels of one event from the lake's label files: every one, and the one that counts. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ml.aws import s3_objects
from ml.aws.labels import label_files
from ml.aws.labels.store import CHARGEBACK
from ml.aws.lake import Lake
from ml.errors import DataError

_COLUMNS = ("label", "known_at", "channel")


@dataclass(frozen=True, kw_only=True)
class EventLabel:
    """One label of the event: 1 is fraud; `channel` is analyst or chargeback."""

    label: int
    channel: str
    known_at: datetime
    uri: str
    """The label file that holds it."""


def read(bucket: str, event_id: str, *, start: datetime, as_of: datetime) -> list[EventLabel]:
    """The labels of `event_id` that are known at `as_of`, earliest first.

    Args:
        start: the event is not older; label files whose labels were all known earlier are not read.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a label file is not one.
    """
    names = {item.name for item in Lake(bucket).imports()}
    found = []
    for listed in label_files.listed(bucket, start, imports=names, used=names):
        uri = f"s3://{bucket}/{listed.key}"
        for row in _rows(s3_objects.read(uri), event_id, uri):
            known = row["known_at"].astimezone(UTC)
            if known <= as_of:
                channel = row.get("channel") or CHARGEBACK
                found.append(EventLabel(label=int(row["label"]), channel=channel, known_at=known, uri=uri))
    return sorted(found, key=lambda item: (item.known_at, item.channel, item.label))


def decisive(labels: Sequence[EventLabel]) -> int | None:
    """The label that counts: in each channel the latest, fraud at equal times; fraud in either channel is fraud.

    None if there is no label at all.
    """
    latest: dict[str, EventLabel] = {}
    for item in sorted(labels, key=lambda item: (item.known_at, item.label)):
        latest[item.channel] = item
    return max((item.label for item in latest.values()), default=None)


def _rows(content: bytes, event_id: str, uri: str) -> list[dict[str, Any]]:
    try:
        table = pq.read_table(pa.BufferReader(content), filters=[("event_id", "==", event_id)])
        rows: list[dict[str, Any]] = table.select([name for name in _COLUMNS if name in table.column_names]).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError) as error:
        raise DataError(f"{uri}: is not a file of event_id, label and known_at ({error})") from error
    return rows
