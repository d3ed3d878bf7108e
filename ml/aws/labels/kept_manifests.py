"""Keeps the manifests of label deliveries in one object, so that a drift check need not read hundreds of small ones.

A lake gets a delivery a day or more, and each check is a new process. `monitoring/<endpoint>/label-deliveries.json` has
every manifest that a check has read, with its key and ETag; a manifest counts only if the listing of labels/ still has
that key with that ETag, so the object can be deleted or be older than the lake at any time.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ml.aws import s3_objects
from ml.aws.drift_check_store import PREFIX
from ml.aws.labels import store
from ml.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ml.aws.labels.store import Delivery
    from ml.aws.s3_objects import Entry

_SCHEMA = 1
_Manifests = dict[tuple[str, str], "Delivery"]


class KeptManifests:
    """The manifests that checks of the endpoint `endpoint` keep in the lake `bucket`."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        self.bucket = bucket
        self.uri = f"{s3_objects.SCHEME}{bucket}/{PREFIX}/{endpoint}/label-deliveries.json"
        self.unusable: str | None = None
        """Why the kept object cannot be used, so that every manifest is read; None if nothing is wrong."""
        self._kept: _Manifests = {}

    @classmethod
    def restored(cls, bucket: str, endpoint: str) -> KeptManifests:
        """The kept manifests, after they were made known to `store.deliveries` in this process.

        An object that is not what `keep` writes is as absent, and `unusable` says so: the lake has the manifests.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        kept = cls(bucket, endpoint)
        try:
            data = s3_objects.read(kept.uri)
        except DataError:  # no check has kept any
            return kept
        try:
            kept._kept = _parsed(data, kept.uri)
        except DataError as error:
            kept.unusable = str(error)
        store.remember(bucket, kept._kept)
        return kept

    def keep(self, objects: Iterable[Entry]) -> None:
        """Writes the manifests that this process has read of the deliveries in the lake, if not the same were kept.

        Args:
            objects: what `store.listed` has returned.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        there = {(each.key, each.etag) for each in objects}
        manifests = {where: found for where, found in store.remembered(self.bucket).items() if where in there}
        if manifests == self._kept:
            return
        entries = [
            {"key": key, "etag": etag, "manifest": json.loads(delivery.to_json())}
            for (key, etag), delivery in sorted(manifests.items())
        ]
        document = json.dumps({"schema": _SCHEMA, "deliveries": entries}, indent=1) + "\n"
        s3_objects.write(self.uri, document.encode(), "application/json")
        self._kept = manifests


def _parsed(data: bytes, uri: str) -> _Manifests:
    try:
        document: dict[str, Any] = json.loads(data)
        entries = document["deliveries"] if document["schema"] == _SCHEMA else None
        if entries is not None:
            return {
                (str(entry["key"]), str(entry["etag"])): store.Delivery.from_json(json.dumps(entry["manifest"]), uri)
                for entry in entries
            }
        problem: object = f"schema {document['schema']!r}"
    except (ValueError, TypeError, KeyError, DataError) as error:
        problem = error
    raise DataError(f"{uri}: is not what a drift check writes ({problem})")
