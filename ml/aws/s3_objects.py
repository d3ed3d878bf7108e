"""Reads, writes, lists and moves whole S3 objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError

SCHEME = "s3://"
_CHUNK_BYTES = 1 << 20


def read(uri: str) -> bytes:
    """The content of the object at `uri`. Raises DataError if there is none, CloudError if S3 refuses."""
    bucket, key = split(uri)
    try:
        with explained(f"reading {uri}"):
            body: bytes = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            return body
    except CloudError as error:
        if code(error.__cause__ or error) in ("NoSuchKey", "NoSuchBucket"):
            raise DataError(f"{uri}: no such object; check the bucket's name and the key") from error
        raise


def download(uri: str, target: Path) -> None:
    """Writes the object at `uri` to the file `target`, in bounded memory. Raises as `read` does."""
    bucket, key = split(uri)
    try:
        with explained(f"reading {uri}"), target.open("wb") as file:
            for chunk in client("s3").get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK_BYTES):
                file.write(chunk)
    except CloudError as error:
        if code(error.__cause__ or error) in ("NoSuchKey", "NoSuchBucket"):
            raise DataError(f"{uri}: no such object; check the bucket's name and the key") from error
        raise


def version(uri: str) -> str:
    """Identifies the content of the object at `uri`: its ETag and its size. Raises as `read` does."""
    head = _head(uri)
    return f"{head['ETag']} {head['ContentLength']}"


def metadata(uri: str) -> Mapping[str, str]:
    """The metadata that the object at `uri` was written with. Raises as `read` does."""
    found: Mapping[str, str] = _head(uri)["Metadata"]
    return found


def write(uri: str, data: bytes, content_type: str, metadata: Mapping[str, str] | None = None) -> None:
    """Writes `data` to `uri`, replacing an existing object. Raises CloudError if S3 refuses."""
    bucket, key = split(uri)
    with explained(f"writing {uri}"):
        client("s3").put_object(
            Bucket=bucket, Key=key, Body=data, ContentType=content_type, Metadata=dict(metadata or {})
        )


class Entry(NamedTuple):
    """An object as a listing has it: its key, its ETag and its size in bytes."""

    key: str
    etag: str
    bytes: int


def keys(bucket: str, prefix: str) -> Iterator[str]:
    """The keys below `prefix`, in order. Raises CloudError if S3 refuses."""
    yield from (item.key for item in listed(bucket, prefix))


def listed(bucket: str, prefix: str) -> Iterator[Entry]:
    """The objects below `prefix`, in the order of keys. Raises CloudError if S3 refuses."""
    with explained(f"listing {SCHEME}{bucket}/{prefix}"):
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (Entry(item["Key"], item["ETag"], item["Size"]) for item in page.get("Contents", []))


def move(bucket: str, key: str, target: str, *, etag: str) -> bool:
    """Moves the object `key` to the key `target`, if it still has the ETag `etag`; returns whether it had.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    try:
        with explained(f"copying {SCHEME}{bucket}/{key}"):
            if client("s3").head_object(Bucket=bucket, Key=key)["ETag"] != etag:
                return False
            source = {"Bucket": bucket, "Key": key}
            client("s3").copy_object(Bucket=bucket, Key=target, CopySource=source, CopySourceIfMatch=etag)
    except CloudError as error:
        if code(error.__cause__ or error) in ("PreconditionFailed", "412", "NoSuchKey", "404"):
            return False
        raise
    with explained(f"deleting {SCHEME}{bucket}/{key}"):
        client("s3").delete_object(Bucket=bucket, Key=key)
    return True


def _head(uri: str) -> dict[str, Any]:
    bucket, key = split(uri)
    try:
        with explained(f"looking for {uri}"):
            head: dict[str, Any] = client("s3").head_object(Bucket=bucket, Key=key)
            return head
    except CloudError as error:
        if code(error.__cause__ or error) in ("404", "NoSuchKey", "NoSuchBucket"):
            raise DataError(f"{uri}: no such object; check the bucket's name and the key") from error
        raise


def split(uri: str) -> tuple[str, str]:
    """The bucket and the key of s3://bucket/key. Raises DataError if `uri` has another form."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket or not key:
        raise DataError(f"{uri}: must be s3://BUCKET/KEY")
    return bucket, key
