"""Lists the keys of a bucket fast: patches moto's ListObjects and ListObjectsV2, applied by `moto_patches`.

moto visits every key of the bucket for each page, and looks up each member of each entry in the service model: a tenth
of a millisecond per entry. Programs that keep a data lake list thousands of entries. Here a bucket keeps its names in
order, as S3 does, and a page costs what it returns. The responses stay moto's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from itertools import islice
from threading import Lock
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

_MEMBERS = ("Key", "LastModified", "ETag", "ChecksumAlgorithm", "Size", "StorageClass")
"""The members of an entry in S3's order, of which ChecksumAlgorithm may be absent. Entries with others, such as Owner,
are left to moto."""
_END = "</ListBucketResult>"
_LAST = chr(0x10FFFF)
"""Sorts after every character of a key."""
_lock = Lock()
"""Held where a store or its sorted names change: requests are threads."""


def install() -> None:
    """Patches moto; called once per process."""
    _keep_names_in_order()
    _visit_only_keys_below_the_prefix()
    _visit_only_keys_of_the_page()
    _render_entries_at_once()


def _keep_names_in_order() -> None:
    """Has moto's store of a bucket's keys update the sorted names that `_names` made."""
    from moto.s3.models import _VersionedKeyStore

    def put(change: Any) -> Any:
        def changed(store: Any, name: str, value: Any) -> None:
            with _lock:
                new = name not in store
                change(store, name, value)
                if new and hasattr(store, "sorted_names"):
                    insort(store.sorted_names, name)

        return changed

    remove = _VersionedKeyStore.pop

    def pop(store: Any, name: str) -> None:
        with _lock:
            remove(store, name)
            if hasattr(store, "sorted_names"):
                del store.sorted_names[bisect_left(store.sorted_names, name)]

    _VersionedKeyStore.__setitem__ = put(_VersionedKeyStore.__setitem__)
    _VersionedKeyStore.setlist = put(_VersionedKeyStore.setlist)
    _VersionedKeyStore.pop = pop


def _names(store: Any, prefix: str) -> list[str]:
    """The names of moto's key store that begin with `prefix`, in order."""
    with _lock:
        if not hasattr(store, "sorted_names"):
            store.sorted_names = sorted(dict(store))
        names: list[str] = store.sorted_names
        return names[bisect_left(names, prefix) : bisect_right(names, prefix + _LAST)]


def _live(store: Any, name: str) -> Any:
    """The current version of an object; None if it is deleted."""
    from moto.s3.models import FakeDeleteMarker

    versions = store.getlist(name)
    return versions[-1] if versions and not isinstance(versions[-1], FakeDeleteMarker) else None


def _visit_only_keys_below_the_prefix() -> None:
    """Gives moto's ListObjects the live keys below the prefix.

    That also corrects it: moto lists the common prefix of objects that a versioned bucket has deleted; S3 rolls up
    listed keys only. S3 API Reference, ListObjectsV2: a common prefix stands for keys that the response would otherwise
    contain.
    """
    from moto.s3.models import FakeBucket, S3Backend

    list_all = S3Backend.list_objects

    def list_objects(backend: Any, bucket: Any, prefix: Any, *rest: Any, **options: Any) -> Any:
        if type(bucket) is not FakeBucket:
            return list_all(backend, bucket, prefix, *rest, **options)
        found = ((name, _live(bucket.keys, name)) for name in _names(bucket.keys, prefix or ""))
        live = {name: stored for name, stored in found if stored is not None}
        return list_all(backend, SimpleNamespace(keys=live, name=bucket.name), prefix, *rest, **options)

    S3Backend.list_objects = list_objects


def _visit_only_keys_of_the_page() -> None:
    """Ends ListObjectsV2 after the page, and steps over the keys of a folder that the page names already."""
    from moto.s3.models import FakeBucket, S3Backend

    list_all = S3Backend.list_objects_v2

    def list_objects_v2(  # noqa: PLR0917 - the signature is moto's
        backend: Any, bucket: Any, prefix: Any, delimiter: Any, continuation_token: Any, start_after: Any, max_keys: int
    ) -> Any:
        if type(bucket) is not FakeBucket:
            return list_all(backend, bucket, prefix, delimiter, continuation_token, start_after, max_keys)
        after = backend._pagination_tokens.get(continuation_token) if continuation_token else start_after
        entries = _entries(bucket.keys, prefix or "", delimiter or "", after or "")
        return backend._truncate_result(list(islice(entries, max_keys + 1)), max_keys)

    S3Backend.list_objects_v2 = list_objects_v2


def _entries(store: Any, prefix: str, delimiter: str, after: str) -> Iterator[Any]:
    """The live objects below `prefix` and their folders (names that end in the delimiter) that sort after `after`."""
    names = _names(store, prefix)
    place = 0 if delimiter else bisect_right(names, after)
    while place < len(names):
        name = names[place]
        place += 1
        stored = _live(store, name)
        if stored is None:
            continue
        inner, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        if found:
            folder = f"{prefix}{inner}{delimiter}"
            place = bisect_right(names, folder + _LAST)
            if folder > after:
                yield folder
        elif name > after:
            yield stored


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
