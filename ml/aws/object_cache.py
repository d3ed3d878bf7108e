"""Downloads S3 objects for joins on disk, and keeps them between calls if it has a folder. Reads no content.

An object that was replaced has another ETag and is downloaded again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ml.aws import session

_CHUNK = 8 << 20
_TRANSFERS = 8


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An object as S3 lists it."""

    key: str
    etag: str


class ObjectCache:
    """The objects that were downloaded to `folder`, which exists."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def paths(self, bucket: str, objects: Iterable[Listed]) -> list[str]:
        """The paths of `objects` of `bucket`, in order; downloads those that are missing, several at a time.

        Raises:
            CloudError: S3 refuses or cannot be reached.
        """
        found = [(self._path(bucket, item), item.key) for item in objects]
        missing = {path: key for path, key in found if not path.is_file()}
        if missing:
            with ThreadPoolExecutor(_TRANSFERS, thread_name_prefix="download") as pool:
                list(pool.map(lambda path: _download(bucket, missing[path], path), missing))
        return [str(path) for path, _ in found]

    def _path(self, bucket: str, item: Listed) -> Path:
        name = hashlib.sha256(f"{bucket}/{item.key} {item.etag}".encode()).hexdigest()
        return self._folder / f"{name}{Path(item.key).suffix}"


def _download(bucket: str, key: str, path: Path) -> None:
    """Downloads an object; an aborted download leaves no file at `path`."""
    part = path.with_suffix(".part")
    with session.explained(f"reading s3://{bucket}/{key}"), part.open("wb") as file:
        body = session.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
        for chunk in body.iter_chunks(_CHUNK):
            file.write(chunk)
    part.rename(path)
