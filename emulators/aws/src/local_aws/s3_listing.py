"""Lists the keys of a bucket fast: patches moto's ListObjects and ListObjectsV2, applied by `moto_patches`.

moto visits every key of the bucket, and looks up each member of each entry in the service model: a tenth of a
millisecond per entry. Programs that keep a data lake list thousands of entries. The responses stay moto's.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

_MEMBERS = ("Key", "LastModified", "ETag", "ChecksumAlgorithm", "Size", "StorageClass")
"""The members of an entry in S3's order, of which ChecksumAlgorithm may be absent. Entries with others, such as Owner,
are left to moto."""
_END = "</ListBucketResult>"


def install() -> None:
    """Patches moto; called once per process."""
    _visit_only_keys_below_the_prefix()
    _render_entries_at_once()


def _visit_only_keys_below_the_prefix() -> None:
    """Gives moto's listing the live keys below the prefix.

    That also corrects it: moto lists the common prefix of objects that a versioned bucket has deleted; S3 rolls up
    listed keys only. S3 API Reference, ListObjectsV2: a common prefix stands for keys that the response would otherwise
    contain.
    """
    from moto.s3.models import FakeBucket, FakeDeleteMarker, S3Backend

    list_all = S3Backend.list_objects

    def list_objects(backend: Any, bucket: Any, prefix: Any, *rest: Any, **options: Any) -> Any:
        if type(bucket) is not FakeBucket:
            return list_all(backend, bucket, prefix, *rest, **options)
        versions = dict(bucket.keys)  # a copy, because other threads may store objects
        start = prefix or ""
        live = {
            name: stored[-1]
            for name, stored in versions.items()
            if stored and name.startswith(start) and not isinstance(stored[-1], FakeDeleteMarker)
        }
        return list_all(backend, SimpleNamespace(keys=live, name=bucket.name), prefix, *rest, **options)

    S3Backend.list_objects = list_objects


def _render_entries_at_once() -> None:
    """Renders the entries of a listing as text, and has moto render what is around them."""
    from moto.core.responses import ActionResult
    from moto.s3.responses import S3Response

    serialize = S3Response.serialized

    def serialized(response: Any, action: Any) -> Any:
        result = action.result
        entries = result.get("Contents") if type(action) is ActionResult and isinstance(result, dict) else None
        if not entries or any(not entry.keys() <= set(_MEMBERS) for entry in entries):
            return serialize(response, action)
        status, headers, body = serialize(response, ActionResult({**result, "Contents": []}))
        if not isinstance(body, str) or not body.endswith(_END):
            return serialize(response, action)
        return status, headers, body.removesuffix(_END) + "".join(map(_entry, entries)) + _END

    S3Response.serialized = serialized


def _entry(entry: Mapping[str, Any]) -> str:
    values = [(name, value) for name in _MEMBERS for value in _listed(entry.get(name))]
    return f"<Contents>{''.join(f'<{name}>{escape(str(value))}</{name}>' for name, value in values)}</Contents>"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
