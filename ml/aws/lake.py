"""Reads and writes the data lake: transactions under raw/, labels under labels/, imports and their manifests.

The manifest is written last, so that an import is complete or absent. Idempotent: importing equal content again writes
only missing objects. Reads no rows: counts and time spans come from the manifests.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ml.aws import s3_objects
from ml.aws.import_manifest import ImportManifest, Source, StoredFile, stamp
from ml.aws.labels import store as deliveries
from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError

FILE_BYTES = 512 << 20
"""Approximate maximum size of a file of transactions: one upload request, and small enough to distribute."""
_ROWS_PER_GROUP = 100_000
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The result of storing an import: `uploaded` lists the keys that were written; empty if all existed."""

    manifest: ImportManifest
    manifest_uri: str
    uploaded: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """The imports and labels that a training run reads, under one digest; `start` and `end` are the requested window.

    `rows` counts whole imports, and `frauds` whole label files, corrected or not: the window and the corrections are
    applied when the files are read.
    """

    manifest_uri: str
    sha256: str
    rows: int
    frauds: int
    start: datetime | None
    end: datetime | None
    imports: tuple[str, ...]
    deliveries: tuple[str, ...] = ()
    """Labels that were delivered later and may belong to the window's events."""
    meeting: tuple[tuple[str, str], ...] = ()
    """Pairs of manifests of imports whose time spans overlap: transactions that are in both count twice."""


class Lake:
    """The data of the platform's bucket `bucket`."""

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket

    def store(
        self,
        transactions: pa.Table,
        labels: pa.Table,
        *,
        source: Source,
        content_sha256: str,
        duplicates: int,
        quarantined: int,
    ) -> Stored:
        """Stores one import: data files, then labels, then the manifest. Equal content is stored once.

        Args:
            transactions: `event_id` string, `event_time` timestamp[us, UTC], then the model's inputs as float64.
            labels: `event_id` string, `label` int8, `known_at` timestamp[us, UTC]; at most one for each transaction:
                labels that are not known yet are delivered later (`ml.aws.labels.store.deliver`).
            content_sha256: the digest of the rows' content, independent of the file format.

        Raises:
            DataError: a table has another schema, there is no transaction, or there are more labels than transactions.
            CloudError: S3 refuses or cannot be reached; no part of the import is visible until it is complete.
        """
        _check(transactions, labels)
        times = transactions["event_time"]
        start, end = (moment.as_py().astimezone(UTC) for moment in (pc.min(times), pc.max(times)))
        name = f"{start:%Y%m%d}-{content_sha256[:12]}"
        there = _read_manifest(self.bucket, f"raw/{name}/manifest.json")
        if there and all(self._holds(file) for file in there.files):
            return Stored(manifest=there, manifest_uri=self._uri(there.key), uploaded=())
        files, uploaded = [], []
        parts = [*_parts(f"raw/{name}/transactions", transactions)]
        parts += _parts(f"labels/{name}/labels", labels) if labels.num_rows else []
        for key, table in parts:
            data = _parquet(table)
            file = StoredFile(key=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), rows=_rows_of(data))
            files.append(file)
            if not self._holds(file):
                self._put(key, data, file.sha256, "application/vnd.apache.parquet")
                uploaded.append(key)
        manifest = ImportManifest(
            name=name,
            content_sha256=content_sha256,
            source=source,
            columns=tuple(transactions.column_names),
            rows=transactions.num_rows,
            frauds=pc.sum(pc.equal(labels["label"], 1)).as_py() or 0,
            duplicates=duplicates,
            quarantined=quarantined,
            start=start,
            end=end,
            files=tuple(files),
        )
        if there is None or there.files != manifest.files:
            self._put_json(manifest.key, manifest.to_json())
            uploaded.append(manifest.key)
            return Stored(manifest=manifest, manifest_uri=self._uri(manifest.key), uploaded=tuple(uploaded))
        return Stored(manifest=there, manifest_uri=self._uri(there.key), uploaded=tuple(uploaded))

    def imports(self) -> list[ImportManifest]:
        """Every complete import, oldest first event first. Raises CloudError, or DataError on a damaged manifest."""
        listed = [(key, etag) for key, etag in s3_objects.listed(self.bucket, "raw/") if key.endswith("/manifest.json")]
        found = [_manifest(self.bucket, key, etag) for key, etag in listed]
        return sorted((item for item in found if item), key=lambda item: (item.start, item.name))

    def training_set(self, start: datetime | None, end: datetime | None) -> TrainingSet:
        """The imports with events from `start` (included) to `end` (not included; None = open), as one data set.

        It includes the labels that were delivered later and may belong to these events: those known from `start` on.

        Writes the manifest that SageMaker reads under the digest of the listed files; equal imports and window give an
        equal digest, and writing it again changes nothing. The digest is that of files.json, which is written beside
        the manifest: every file's key and sha256, with which the first step verifies its input.

        Raises:
            DataError: no import overlaps the window, or those that do have different columns.
            CloudError: S3 refuses or cannot be reached.
        """
        every = self.imports()
        chosen = [item for item in every if item.overlaps(start, end)]
        if not chosen:
            raise DataError(
                f"s3://{self.bucket}/raw/: {_nothing(every, start, end)}; import data with `fraudops data import`"
            )
        for item in chosen[1:]:
            if item.columns != chosen[0].columns:
                raise DataError(
                    f"s3://{self.bucket}/{item.key}: has other columns than {chosen[0].key}; "
                    f"choose a window in which they agree, or import with one model.yaml"
                )
        late = [item for item in deliveries.deliveries(self.bucket) if item.concerns(start)]
        listed = [file for item in chosen for file in item.files]
        listed += [item.file for item in late] + deliveries.others(self.bucket)
        files = sorted((file.key, file.sha256) for file in listed)
        window = [stamp(start) if start else None, stamp(end) if end else None]
        listing = json.dumps([files, window], separators=(",", ":"))
        sha256 = hashlib.sha256(listing.encode()).hexdigest()
        key, beside = (f"training-sets/{sha256}/{name}" for name in ("dataset.manifest", "files.json"))
        self._put_json(beside, listing)
        names = [*(name for name, _ in files), beside]
        self._put_json(key, json.dumps([{"prefix": f"s3://{self.bucket}/"}, *names], indent=1))
        return TrainingSet(
            manifest_uri=self._uri(key),
            sha256=sha256,
            rows=sum(item.rows for item in chosen),
            frauds=sum(item.frauds for item in chosen) + sum(item.frauds for item in late),
            start=start,
            end=end,
            imports=tuple(item.name for item in chosen),
            meeting=tuple((one.key, two.key) for one, two in combinations(chosen, 2) if one.meets(two)),
            deliveries=tuple(item.name for item in late),
        )

    def _uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def _holds(self, file: StoredFile) -> bool:
        try:
            with explained(f"looking for {self._uri(file.key)}"):
                head = client("s3").head_object(Bucket=self.bucket, Key=file.key)
        except CloudError as error:
            if code(error.__cause__ or error) in ("404", "NoSuchKey"):
                return False
            raise
        there = (head["ContentLength"], head.get("Metadata", {}).get("sha256"))
        return there == (file.bytes, file.sha256)

    def _put_json(self, key: str, text: str) -> None:
        data = text.encode()
        self._put(key, data, hashlib.sha256(data).hexdigest(), "application/json")

    def _put(self, key: str, data: bytes, sha256: str, content_type: str) -> None:
        with explained(f"writing {self._uri(key)}"):
            client("s3").put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType=content_type,
                Metadata={"sha256": sha256},
                # S3 verifies this digest on arrival.
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
            )


@functools.lru_cache(maxsize=4_096)
def _manifest(bucket: str, key: str, etag: str) -> ImportManifest | None:
    """The manifest at `key`, read once per process as long as its content is the same."""
    del etag  # identifies the content in the cache
    return _read_manifest(bucket, key)


def _read_manifest(bucket: str, key: str) -> ImportManifest | None:
    """The manifest at `key`; None if there is none."""
    where = f"s3://{bucket}/{key}"
    try:
        with explained(f"reading {where}"):
            text: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except CloudError as error:
        if code(error.__cause__ or error) == "NoSuchKey":
            return None
        raise
    return ImportManifest.from_json(text, where)


def _check(transactions: pa.Table, labels: pa.Table) -> None:
    inputs = transactions.column_names[2:]
    expected = pa.schema([("event_id", pa.string()), ("event_time", _TIME), *((name, pa.float64()) for name in inputs)])
    for table, schema in ((transactions, expected), (labels, deliveries.SCHEMA)):
        if not table.schema.equals(schema):
            raise DataError(f"the lake accepts only the columns {schema.names} as {schema.types} (got {table.schema})")
    if not transactions.num_rows or transactions.num_rows < labels.num_rows:
        raise DataError(
            f"the lake accepts at most one label per transaction (got {labels.num_rows} for {transactions.num_rows})"
        )


def _parts(stem: str, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    rows = max(1, FILE_BYTES // (8 * table.num_columns))
    if table.num_rows <= rows:
        yield f"{stem}.parquet", table
        return
    for number, start in enumerate(range(0, table.num_rows, rows)):
        yield f"{stem}-{number:04d}.parquet", table.slice(start, rows)


def _parquet(table: pa.Table) -> bytes:
    """The table as Parquet; equal tables give equal bytes: no times and no metadata except the writer's version."""
    buffer = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata(None),
        buffer,
        row_group_size=_ROWS_PER_GROUP,
        compression="snappy",  # every reader supports it; other codecs hardly compress measurements better
        use_dictionary=False,
    )
    return buffer.getvalue()


def _rows_of(data: bytes) -> int:
    """The number of rows in the file's footer."""
    rows: int = pq.read_metadata(pa.BufferReader(data)).num_rows
    return rows


def _nothing(every: list[ImportManifest], start: datetime | None, end: datetime | None) -> str:
    if not every:
        return "no import is complete"
    window = f"from {stamp(start) if start else 'the beginning'} to {stamp(end) if end else 'the end'}"
    span = f"{stamp(every[0].start)} to {stamp(max(item.end for item in every))}"
    return f"no import has events {window} (there are {len(every)}, {span})"
