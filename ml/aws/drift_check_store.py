"""Stores drift checks in the lake: one JSON document for each window of an endpoint.

The documents are the history for retrain decisions, so a window has one, replaced when it is checked again. This module
uses only endpoint, start and end of a document; it does not interpret the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml.aws import s3_objects as objects
from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError

PREFIX = "monitoring"
SCHEMA = 2
COUNTS_SCHEMA = 2
SUPPRESSED_SCHEMA = 1
_STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """A digest of the objects below a prefix, which changes when an object is added, replaced or removed."""

    objects: int
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SuppressedRequest:
    """A retrain request that was due and not created: its name, why not, the model that served, first and last time.

    `raised_by` is `RaisedBy` of ml.records.retrain_requests; None in what earlier versions stored. `first_reason` held
    it back the first time, `reason` the last time.
    """

    request: str
    cause: str
    raised_by: str | None
    first_reason: str
    reason: str
    approval: int
    first: datetime
    latest: datetime


def window_name(start: datetime, end: datetime) -> str:
    """The name of a window in keys, e.g. 20260301T000000Z_20260401T000000Z."""
    return "_".join(moment.astimezone(UTC).strftime(_STAMP) for moment in (start, end))


def fingerprint(bucket: str, *prefixes: str) -> Fingerprint:
    """The fingerprint of the objects below `prefixes`. Raises CloudError if S3 refuses or cannot be reached."""
    return fingerprint_of(item for prefix in prefixes for item in objects.listed(bucket, prefix))


def fingerprint_of(entries: Iterable[objects.Entry]) -> Fingerprint:
    """The fingerprint of listed objects."""
    count = size = 0
    digest = hashlib.sha256()
    for item in entries:
        count, size = count + 1, size + item.bytes
        digest.update(json.dumps([item.key, item.bytes, item.etag]).encode())
    return Fingerprint(objects=count, bytes=size, sha256=digest.hexdigest())


class Checks:
    """The checks of the endpoint `endpoint` in the lake `bucket`."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        self.bucket, self.endpoint = bucket, endpoint
        self._root = f"{PREFIX}/{endpoint}"
        self._windows: list[tuple[datetime, datetime]] | None = None

    def uri(self, kind: str, start: datetime, end: datetime, name: str) -> str:
        """The URI of the file `name` of a window; `kind` is reports or model-monitor."""
        return f"s3://{self.bucket}/{self._root}/{kind}/{window_name(start, end)}/{name}"

    def check_uri(self, start: datetime, end: datetime) -> str:
        """The URI of the window's document."""
        return f"s3://{self.bucket}/{self._root}/checks/{window_name(start, end)}.json"

    def baseline_uri(self, artifact_sha256: str, name: str) -> str:
        """The URI of the file `name` about the model with that digest, for Model Monitor."""
        return f"s3://{self.bucket}/{self._root}/model-monitor/baseline-{artifact_sha256[:12]}/{name}"

    def counts_uri(self, artifact_sha256: str) -> str:
        """The URI of the daily fraud counts about the model with that digest."""
        return f"s3://{self.bucket}/{self._root}/daily-frauds/{artifact_sha256[:12]}.json"

    def read_counts(self, artifact_sha256: str) -> dict[str, Any] | None:
        """The daily fraud counts about that model; None if there are none, or if they have another schema."""
        try:
            content = objects.read(self.counts_uri(artifact_sha256))
        except DataError as error:
            if _is_missing(error):
                return None
            raise
        document: dict[str, Any] = json.loads(content)
        current = document.get("schema") == COUNTS_SCHEMA and document.get("artifact_sha256") == artifact_sha256
        return document if current else None

    def write_suppressed(
        self, request: str, *, cause: str, raised_by: str, reason: str, approval: int, at: datetime
    ) -> None:
        """Stores that a request was due and not created `at` a time; first time and reason of the same one stay."""
        uri = f"s3://{self.bucket}/{self._root}/suppressed/{request}.json"
        before = self._suppressed(uri)
        values = {
            "request": request,
            "cause": cause,
            "raised_by": raised_by,
            "first_reason": before.first_reason if before is not None else reason,
            "reason": reason,
            "approval": approval,
            "first": (before.first if before is not None else at).isoformat(),
            "latest": at.isoformat(),
        }
        objects.write(uri, encoded({"schema": SUPPRESSED_SCHEMA, **values}), "application/json")

    def suppressed(self) -> list[SuppressedRequest]:
        """Every request that was due and not created, by name. DataError if one has another form."""
        prefix = f"{self._root}/suppressed/"
        found = (self._suppressed(f"s3://{self.bucket}/{each.key}") for each in objects.listed(self.bucket, prefix))
        return [each for each in found if each is not None]

    def _suppressed(self, uri: str) -> SuppressedRequest | None:
        try:
            return _suppressed(json.loads(objects.read(uri)))
        except DataError as error:
            if _is_missing(error):
                return None
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{uri}: not a suppressed request of this version ({error}); delete it") from error

    def read(self, start: datetime, end: datetime) -> dict[str, Any] | None:
        """The window's document; None if it was never evaluated. DataError if it has another schema."""
        return self._read(self.check_uri(start, end))

    def windows(self) -> list[tuple[datetime, datetime]]:
        """Every window that was evaluated, by end and then start. Objects with other names are skipped.

        They are listed once, and again after `write`: one run of a check asks several times, and only one run at a
        time writes checks.
        """
        if self._windows is not None:
            return list(self._windows)
        found = []
        prefix = f"{self._root}/checks/"
        with explained(f"listing s3://{self.bucket}/{prefix}"):
            pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for item in page.get("Contents", []):
                    window = _window(item["Key"].removeprefix(prefix))
                    if window is not None:
                        found.append(window)
        self._windows = sorted(found, key=lambda window: (window[1], window[0]))
        return list(self._windows)

    def write(self, document: Mapping[str, Any]) -> str:
        """Stores a window's document under its start and end; returns its URI."""
        start, end = (datetime.fromisoformat(document[name]) for name in ("start", "end"))
        uri = self.check_uri(start, end)
        self._windows = None
        objects.write(uri, encoded({"schema": SCHEMA, **document}), "application/json")
        return uri

    def _read(self, uri: str) -> dict[str, Any] | None:
        try:
            content = objects.read(uri)
        except DataError as error:
            if _is_missing(error):
                return None
            raise
        try:
            document = json.loads(content)
        except ValueError as error:
            raise DataError(
                f"{uri}: not JSON ({error}); delete it; the next check evaluates the window again"
            ) from error
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise DataError(f"{uri}: not a check of this version; delete it; the next check evaluates the window again")
        return document


def _suppressed(document: Any) -> SuppressedRequest:
    """The suppressed request of a document. KeyError, TypeError or ValueError if it has another form."""
    if document["schema"] != SUPPRESSED_SCHEMA:
        raise ValueError(f"schema {document['schema']}")
    return SuppressedRequest(
        request=str(document["request"]),
        cause=str(document["cause"]),
        raised_by=str(document["raised_by"]) if "raised_by" in document else None,
        first_reason=str(document.get("first_reason", document["reason"])),
        reason=str(document["reason"]),
        approval=int(document["approval"]),
        first=datetime.fromisoformat(document["first"]),
        latest=datetime.fromisoformat(document["latest"]),
    )


def _is_missing(error: DataError) -> bool:
    """Whether the object does not exist."""
    return isinstance(error.__cause__, CloudError) and code(error.__cause__.__cause__ or error) == "NoSuchKey"


def encoded(document: Mapping[str, Any]) -> bytes:
    """`document` as stored; equal values give equal bytes. ValueError if a value is not valid JSON, such as NaN."""
    # Without indentation, because only then Python's encoder is the fast one.
    return json.dumps(document, sort_keys=True, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def _window(name: str) -> tuple[datetime, datetime] | None:
    first, separator, last = name.removesuffix(".json").partition("_")
    try:
        start, end = (datetime.strptime(part, _STAMP).replace(tzinfo=UTC) for part in (first, last))
    except ValueError:
        return None
    return (start, end) if separator and name.endswith(".json") else None
