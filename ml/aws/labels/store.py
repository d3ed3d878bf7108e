"""Reads and writes label files under labels/: those of imports, and later deliveries.

A delivery is `labels/late-<YYYYMMDD>-<12 hex>/labels.parquet`, named after its earliest `known_at` and its digest. Its
manifest is written last, so that a delivery is complete or absent; equal content is stored once. Other Parquet files
below labels/ count too.

Labels come through two channels. `analyst`: findings on alerts, within days, on alerts only. `chargeback`: labels of
all transactions, within weeks; a file without the column `channel` holds these. In each channel the latest label
counts; a fraud in either channel is a fraud, because a blocked transaction brings no chargeback and an analyst may miss
what the cardholder disputes. A transaction without a chargeback label counts as unlabelled wherever labels must stand
for all transactions (coverage, maturity, recall, training): what only alerts reveal is not the whole.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.aws import s3_objects
from ml.aws.import_manifest import StoredFile, stamp
from ml.aws.labels import join_tables
from ml.aws.s3_objects import Entry
from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError

PREFIX, LATE = "labels", "late-"
ANALYST, CHARGEBACK, CHANNELS = join_tables.ANALYST, join_tables.CHARGEBACK, join_tables.CHANNELS
SCHEMA = pa.schema([("event_id", pa.string()), ("label", pa.int8()), ("known_at", pa.timestamp("us", "UTC"))])
"""The columns of an import's labels; all are chargeback labels."""
DELIVERED_SCHEMA = SCHEMA.append(pa.field("channel", pa.string()))
"""The columns of a delivery."""
_OURS = re.compile(r"\d{8}-[0-9a-f]{12}|late-.*")
_FORMAT = 1
_ROWS_PER_GROUP = 100_000
_READERS = 8


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Labels that were delivered together. `first` and `last` are the earliest and latest `known_at`."""

    name: str
    rows: int
    frauds: int
    first: datetime
    last: datetime
    file: StoredFile

    @property
    def key(self) -> str:
        """The key of the manifest."""
        return f"{PREFIX}/{self.name}/manifest.json"

    def concerns(self, start: datetime | None) -> bool:
        """Whether it may label an event from `start` on: a label cannot be older than its event."""
        return start is None or self.last >= start

    def to_json(self) -> str:
        """The manifest as it is stored."""
        document = {"format": _FORMAT, **dataclasses.asdict(self)}
        return json.dumps(document | {"first": stamp(self.first), "last": stamp(self.last)}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Delivery:
        """The inverse of `to_json`. Raises DataError, naming `where`, on anything else."""
        try:
            document: dict[str, Any] = json.loads(text)
            known = document.pop("format") == _FORMAT
            moments = {name: datetime.fromisoformat(document[name]) for name in ("first", "last")}
            delivery = cls(**document | moments | {"file": StoredFile(**document["file"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{where}: is not the manifest of a delivery of labels ({error}); deliver them again"
            ) from error
        if not known:
            raise DataError(f"{where}: has another format than {_FORMAT}; read it with the version that wrote it")
        return delivery


_manifests: dict[tuple[str, str, str], Delivery] = {}
"""The deliveries by bucket, key and ETag of their manifests. A lake soon has hundreds: a process reads each once."""


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """The result of a delivery; `new` is False if it was already stored."""

    uri: str
    name: str
    rows: int
    frauds: int
    new: bool


def deliver(bucket: str, table: pa.Table) -> Delivered:
    """Stores labels under labels/, completely or not at all. Idempotent: equal labels, in any order, are stored once.

    Args:
        table: `event_id` string, `label` int8 (0 or 1), `known_at` timestamp[us, UTC] and `channel` string (analyst or
            chargeback; chargeback if the column is absent). A correction is a later label of the same event and
            channel.

    Raises:
        DataError: the table breaks that contract, naming column, row and value, or has no row.
        CloudError: S3 refuses or cannot be reached.
    """
    if table.schema.equals(SCHEMA):
        channel = pa.array([CHARGEBACK] * table.num_rows, pa.string())
        table = table.append_column(DELIVERED_SCHEMA.field("channel"), channel)
    check(table, "labels")
    # Sorted, so that equal labels are equal bytes.
    order = ("event_id", "known_at", "label", "channel")
    data = _parquet(table.sort_by([(name, "ascending") for name in order]))
    sha256 = hashlib.sha256(data).hexdigest()
    first, last = (moment.as_py().astimezone(UTC) for moment in (pc.min(table["known_at"]), pc.max(table["known_at"])))
    name = f"{LATE}{first:%Y%m%d}-{sha256[:12]}"
    key = f"{PREFIX}/{name}/labels.parquet"
    delivery = Delivery(
        name=name,
        rows=table.num_rows,
        frauds=pc.sum(pc.equal(table["label"], 1)).as_py(),
        first=first,
        last=last,
        file=StoredFile(key=key, sha256=sha256, bytes=len(data), rows=table.num_rows),
    )
    manifest = delivery.to_json().encode()
    new = [
        _put_once(bucket, key, data, "application/vnd.apache.parquet"),
        _put_once(bucket, delivery.key, manifest, "application/json"),
    ]
    uri = f"s3://{bucket}/{key}"
    return Delivered(uri=uri, name=name, rows=delivery.rows, frauds=delivery.frauds, new=any(new))


def deliveries(bucket: str, objects: Iterable[Entry] | None = None) -> list[Delivery]:
    """Every complete delivery, by name.

    Args:
        objects: what `listed` has returned; None lists the deliveries.

    Raises:
        CloudError: S3 refuses or cannot be reached.
        DataError: a manifest is damaged.
    """
    start = f"{PREFIX}/{LATE}"
    found = sorted(
        s3_objects.listed(bucket, start)
        if objects is None
        else (item for item in objects if item.key.startswith(start))
    )
    manifests = [(bucket, key, etag) for key, etag, _ in found if key.endswith("/manifest.json")]
    missing = [each for each in manifests if each not in _manifests]
    if missing:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="manifests") as pool:
            _manifests.update(zip(missing, pool.map(_delivery, missing), strict=True))
    return [_manifests[each] for each in manifests]


def remembered(bucket: str) -> dict[tuple[str, str], Delivery]:
    """The deliveries whose manifests this process has read, by the manifest's key and ETag."""
    return {(key, etag): found for (name, key, etag), found in _manifests.items() if name == bucket}


def remember(bucket: str, manifests: Mapping[tuple[str, str], Delivery]) -> None:
    """Adds what `remembered` returned in another process; `deliveries` does not read these manifests."""
    _manifests.update({(bucket, key, etag): found for (key, etag), found in manifests.items()})


def listed(bucket: str) -> list[Entry]:
    """Every object below labels/. Raises CloudError if S3 refuses or cannot be reached."""
    return list(s3_objects.listed(bucket, f"{PREFIX}/"))


def others(bucket: str) -> list[StoredFile]:
    """The label files below labels/ that neither an import nor `deliver` wrote, with their digests.

    Raises:
        DataError: one of them is not Parquet.
        CloudError: S3 refuses or cannot be reached.
    """
    found = []
    for key in sorted(s3_objects.keys(bucket, f"{PREFIX}/")):
        folder = key.split("/")[1]
        # A file in a folder of an import or delivery belongs to its manifest; without a manifest it does not count.
        if not key.endswith(".parquet") or _OURS.fullmatch(folder):
            continue
        data = _read(bucket, key)
        try:
            rows = pq.read_metadata(pa.BufferReader(data)).num_rows
        except pa.ArrowInvalid as error:
            raise DataError(f"s3://{bucket}/{key}: is not a Parquet file ({error})") from error
        found.append(StoredFile(key=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), rows=rows))
    return found


def check(table: pa.Table, where: str) -> None:
    """Raises DataError, naming `where`, unless `table` has the schema of a delivery and a row."""
    if not table.schema.equals(DELIVERED_SCHEMA):
        raise DataError(
            f"{where}: must have the columns {DELIVERED_SCHEMA.names} as {DELIVERED_SCHEMA.types} (got {table.schema})"
        )
    if not table.num_rows:
        raise DataError(f"{where}: must hold at least one label (got none)")
    rules = {
        "event_id": (
            "text",
            pc.and_kleene(pc.is_valid(table["event_id"]), pc.greater(pc.utf8_length(table["event_id"]), 0)),
        ),
        "label": ("0 or 1", pc.is_in(table["label"], pa.array([0, 1], pa.int8()))),
        "known_at": ("a time", pc.is_valid(table["known_at"])),
        "channel": (" or ".join(CHANNELS), pc.is_in(table["channel"], pa.array(CHANNELS))),
    }
    for column, (expected, good) in rules.items():
        bad = pc.indices_nonzero(pc.invert(pc.fill_null(good, False)))
        if len(bad):
            row = bad[0].as_py()
            value = table[column][row].as_py()
            raise DataError(
                f"{where}: row {row + 1}, column {column}: must be {expected} (got {value!r}; {len(bad)} such)"
            )


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None),
        buffer,
        row_group_size=_ROWS_PER_GROUP,
        compression="snappy",
        use_dictionary=False,
    )
    return buffer.getvalue()


def _put_once(bucket: str, key: str, data: bytes, content_type: str) -> bool:
    """Writes the object unless it exists with the same content; returns whether it was written."""
    sha256 = hashlib.sha256(data)
    try:
        with explained(f"looking for s3://{bucket}/{key}"):
            head = client("s3").head_object(Bucket=bucket, Key=key)
        if (head["ContentLength"], head.get("Metadata", {}).get("sha256")) == (len(data), sha256.hexdigest()):
            return False
    except CloudError as error:
        if code(error.__cause__ or error) not in ("404", "NoSuchKey"):
            raise
    with explained(f"writing s3://{bucket}/{key}"):
        client("s3").put_object(
            Bucket=bucket,
            Key=key,
            Body=data,
            ContentType=content_type,
            Metadata={"sha256": sha256.hexdigest()},
            # S3 verifies this digest on arrival.
            ChecksumSHA256=base64.b64encode(sha256.digest()).decode(),
        )
    return True


def _read(bucket: str, key: str) -> bytes:
    with explained(f"reading s3://{bucket}/{key}"):
        data: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return data


def _delivery(manifest: tuple[str, str, str]) -> Delivery:
    bucket, key, _ = manifest
    return Delivery.from_json(_read(bucket, key), f"s3://{bucket}/{key}")
