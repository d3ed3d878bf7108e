"""Reads and writes the data lake: transactions under raw/, labels under labels/, imports and their manifests.

An import has one source file or many. Its manifest is written last, so that an import is complete or absent. Importing
equal content again writes only missing objects, and a run that was interrupted goes on where it stopped (raw/sources/
records what is stored already). Reads no rows: counts and time spans come from the manifests.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

import pyarrow as pa
import pyarrow.compute as pc

from ml.aws import lake_tables, s3_objects
from ml.aws.import_manifest import ImportManifest, Source, StoredFile, StoredSource
from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError


@dataclass(frozen=True, kw_only=True)
class Stored:
    """The result of storing an import: `uploaded` lists the keys that were written; empty if all existed."""

    manifest: ImportManifest
    manifest_uri: str
    uploaded: tuple[str, ...]


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
        """Stores an import of one source file: `store_source`, then `complete`.

        Raises: as these two.
        """
        stored, uploaded = self.store_source(
            transactions,
            labels,
            source=source,
            content_sha256=content_sha256,
            duplicates=duplicates,
            quarantined=quarantined,
        )
        done = self.complete([stored])
        return dataclasses.replace(done, uploaded=(*uploaded, *done.uploaded))

    def store_source(
        self,
        transactions: pa.Table,
        labels: pa.Table,
        *,
        source: Source,
        content_sha256: str,
        duplicates: int,
        quarantined: int,
    ) -> tuple[StoredSource, tuple[str, ...]]:
        """Stores the objects of one source file, which belong to no import before `complete`. Equal content is stored
        once. Also returns the keys that were written; none if all existed.

        Args:
            transactions: `event_id` string, `event_time` timestamp[us, UTC], then columns to keep as string, then the
                model's inputs as float64.
            labels: `event_id` string, `label` int8, `known_at` timestamp[us, UTC]; at most one for each transaction:
                labels that are not known yet are delivered later (`ml.aws.labels.store.deliver`).
            content_sha256: the digest of the rows' content, independent of the file format.

        Raises:
            DataError: a table has another schema, there is no transaction, or there are more labels than transactions.
            CloudError: S3 refuses or cannot be reached.
        """
        kept = lake_tables.check(transactions, labels)
        times = transactions["event_time"]
        start, end = (moment.as_py().astimezone(UTC) for moment in (pc.min(times), pc.max(times)))
        folder = f"{start:%Y%m%d}-{content_sha256[:12]}"
        files, uploaded = [], []
        parts = [*lake_tables.parts_of(f"raw/{folder}/transactions", transactions)]
        parts += lake_tables.parts_of(f"labels/{folder}/labels", labels) if labels.num_rows else []
        for key, table in parts:
            data = lake_tables.to_parquet(table)
            file = StoredFile(
                key=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), rows=lake_tables.rows_of(data)
            )
            files.append(file)
            if not self.holds(file):
                self._put(key, data, file.sha256, "application/vnd.apache.parquet")
                uploaded.append(key)
        stored = StoredSource(
            name=source.name,
            bytes=source.bytes,
            sha256=source.sha256,
            time_unit=source.time_unit,
            content_sha256=content_sha256,
            columns=tuple(name for name in transactions.column_names if name not in kept),
            kept=kept,
            rows=transactions.num_rows,
            frauds=pc.sum(pc.equal(labels["label"], 1)).as_py() or 0,
            duplicates=duplicates,
            quarantined=quarantined,
            start=start,
            end=end,
            files=tuple(files),
        )
        return stored, tuple(uploaded)

    def complete(self, sources: Sequence[StoredSource]) -> Stored:
        """Makes one import of stored sources by writing its manifest. An import with equal content is left as it is.

        Raises:
            DataError: the sources have different columns.
            CloudError: S3 refuses or cannot be reached; the import is not visible.
        """
        manifest = ImportManifest.of(sources)
        for source in manifest.sources[1:]:
            if source.columns != manifest.columns:
                raise DataError(
                    f"{source.name}: has the columns {', '.join(source.columns)}, {manifest.sources[0].name} has "
                    f"{', '.join(manifest.columns)}; import them apart"
                )
        there = _read_manifest(self.bucket, manifest.key)
        if there is not None and there.files == manifest.files:
            return Stored(manifest=there, manifest_uri=self.uri(there.key), uploaded=())
        self.put_json(manifest.key, manifest.to_json())
        return Stored(manifest=manifest, manifest_uri=self.uri(manifest.key), uploaded=(manifest.key,))

    def progress(self, identity: str) -> StoredSource | None:
        """What a former, perhaps interrupted run stored of the source `identity`; None unless all of it is there.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        where = self.uri(_progress_key(identity))
        text = _read_object(where)
        if text is None:
            return None
        try:
            stored = StoredSource.from_dict(json.loads(text))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{where}: is damaged ({error}); delete it, and the file is read again") from error
        return stored if all(self.holds(file) for file in stored.files) else None

    def record_progress(self, identity: str, stored: StoredSource) -> None:
        """Records that the source `identity` is stored, so that a repeated run need not read it. Raises CloudError."""
        self.put_json(_progress_key(identity), json.dumps(stored.to_dict()))

    def remove(self, name: str) -> tuple[str, ...]:
        """Removes the import `name`: its objects that no other import has, then its manifest.

        Returns:
            the keys that were deleted.

        Raises:
            DataError: there is no such import.
            CloudError: S3 refuses or cannot be reached; a repeated call continues.
        """
        every = {item.name: item for item in self.imports()}
        if name not in every:
            raise DataError(f"s3://{self.bucket}/raw/: no import {name}; `fraudops data list` shows them")
        manifest = every.pop(name)
        used = {file.key for item in every.values() for file in item.files}
        keys = [file.key for file in manifest.files if file.key not in used]
        for key in [*keys, manifest.key]:  # the manifest last: a call that was interrupted can be repeated
            with explained(f"deleting {self.uri(key)}"):
                client("s3").delete_object(Bucket=self.bucket, Key=key)
        return (*keys, manifest.key)

    def imports(self) -> list[ImportManifest]:
        """Every complete import, oldest first event first. Raises CloudError, or DataError on a damaged manifest."""
        listed = [
            (key, etag) for key, etag, _ in s3_objects.listed(self.bucket, "raw/") if key.endswith("/manifest.json")
        ]
        found = [_manifest(self.bucket, key, etag) for key, etag in listed]
        return sorted((item for item in found if item), key=lambda item: (item.start, item.name))

    def uri(self, key: str) -> str:
        """The S3 URI of a key."""
        return f"s3://{self.bucket}/{key}"

    def holds(self, file: StoredFile) -> bool:
        """Whether the lake has the object, with that content. Raises CloudError."""
        try:
            with explained(f"looking for {self.uri(file.key)}"):
                head = client("s3").head_object(Bucket=self.bucket, Key=file.key)
        except CloudError as error:
            if code(error.__cause__ or error) in ("404", "NoSuchKey"):
                return False
            raise
        there = (head["ContentLength"], head.get("Metadata", {}).get("sha256"))
        return there == (file.bytes, file.sha256)

    def put_json(self, key: str, text: str) -> None:
        """Writes a JSON object with its digest. Raises CloudError."""
        data = text.encode()
        self._put(key, data, hashlib.sha256(data).hexdigest(), "application/json")

    def _put(self, key: str, data: bytes, sha256: str, content_type: str) -> None:
        with explained(f"writing {self.uri(key)}"):
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
    text = _read_object(where)
    return None if text is None else ImportManifest.from_json(text, where)


def _read_object(where: str) -> bytes | None:
    """The object at the URI `where`; None if there is none."""
    bucket, _, key = where.removeprefix("s3://").partition("/")
    try:
        with explained(f"reading {where}"):
            text: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            return text
    except CloudError as error:
        if code(error.__cause__ or error) == "NoSuchKey":
            return None
        raise


def _progress_key(identity: str) -> str:
    return f"raw/sources/{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
