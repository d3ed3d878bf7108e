"""What SageMaker moves between S3 and a job's folder, with its rules for prefixes and manifests.

An S3Prefix is a prefix of keys and not a folder: `s3://b/train` also matches `train2/x`, as it does on AWS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from botocore.exceptions import ClientError

TRANSFERS = 8


class ClientFault(Exception):
    """A job fails for what its caller gave it: SageMaker's ClientError, with its words."""


class CreateFault(ClientFault):
    """The call that would create a job is refused, so that no job exists."""


@dataclass(frozen=True)
class Item:
    """One object to fetch: where it is, and where below the input's local path it goes."""

    bucket: str
    key: str
    relative: str


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an S3 URI.

    Raises:
        ClientFault: it is not one.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "https") or not bucket or scheme == "https":
        raise CreateFault(f"The S3 URI '{uri}' is not valid, it must start with s3://bucket/")
    return bucket, key


class Storage:
    """S3 through a boto3 client, for the inputs and outputs of jobs."""

    def __init__(self, s3: Any, region: str) -> None:
        self._s3, self._region = s3, region

    def plan(self, uri: str, data_type: str, role: str) -> list[Item]:
        """The objects that an input names, without fetching them.

        Raises:
            CreateFault: there are none, in the words with which the Create call refuses.
        """
        bucket, key = split(uri)
        if data_type == "S3Prefix":
            items = list(self._prefix(bucket, key))
        elif data_type == "ManifestFile":
            items = list(self._manifest(uri))
        else:
            raise CreateFault(f"S3DataType '{data_type}' is not supported by the local cloud")
        if not items:
            raise CreateFault(self._nothing(uri, bucket, role))
        return items

    def fetch(self, items: list[Item], folder: Path) -> None:
        """Fetches every object into `folder`.

        Raises:
            ClientFault: two objects want one path, a path leads out of the folder, or S3 refuses.
        """
        places = [PurePosixPath(item.relative) for item in items]
        files, seen = set(places), set[PurePosixPath]()
        for item, place in zip(items, places, strict=True):
            outside = place.is_absolute() or ".." in place.parts
            if outside or place in seen or files.intersection(place.parents) or (folder / place).exists():
                raise ClientFault(_clash(item))
            seen.add(place)
        for place in places:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)

        def one(item: Item) -> None:
            self._s3.download_file(item.bucket, item.key, str(folder / item.relative))

        with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="fetch") as pool:
            list(pool.map(one, items))

    def send(self, folder: Path, uri: str) -> None:
        """Puts every file below `folder` under `uri`."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        bucket, prefix = split(uri)

        def one(path: Path) -> None:
            key = "/".join(filter(None, [prefix.rstrip("/"), path.relative_to(folder).as_posix()]))
            self._s3.upload_file(str(path), bucket, key)

        try:
            with ThreadPoolExecutor(TRANSFERS, thread_name_prefix="send") as pool:
                list(pool.map(one, files))
        except Exception as error:
            # boto3 wraps a refusal while uploading in an exception of its own, which has no code.
            if "NoSuchBucket" in str(error):
                raise ClientFault(f"Failed to upload output to {uri}. The specified bucket does not exist") from error
            raise

    def send_file(self, path: Path, uri: str) -> None:
        """Puts one file at `uri`."""
        bucket, key = split(uri)
        self._s3.upload_file(str(path), bucket, key)

    def read(self, uri: str) -> bytes:
        """The object at `uri`.

        Raises:
            ClientFault: it does not exist.
        """
        bucket, key = split(uri)
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
                raise ClientFault(f"The specified key does not exist: {uri}") from error
            raise

    def exists(self, uri: str) -> bool:
        """Whether there is an object at `uri`, or below it where it ends with a slash."""
        bucket, key = split(uri)
        try:
            found: Mapping[str, Any] = self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                return False
            raise
        return any(entry["Key"] == key or key.endswith("/") for entry in found.get("Contents", []))

    def _prefix(self, bucket: str, prefix: str) -> Iterator[Item]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        parent = prefix.rpartition("/")[0]
        try:
            for page in pages:
                for entry in page.get("Contents", []):
                    key = entry["Key"]
                    if key.endswith("/"):
                        continue  # a folder's marker, not data
                    inside = not prefix or prefix.endswith("/") or key.startswith(f"{prefix}/")
                    yield Item(bucket, key, key[len(prefix if inside else parent) :].lstrip("/"))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise

    def _manifest(self, uri: str) -> Iterator[Item]:
        bucket, key = split(uri)
        if not self.exists(uri):
            return
        try:
            entries = json.loads(self.read(uri))
            prefix = entries[0]["prefix"]
            names = [str(name) for name in entries[1:]]
        except (ValueError, LookupError, TypeError) as error:
            raise ClientFault(
                f"Data download failed:Failed to parse manifest file at s3://{bucket}/{key}, it must be a JSON "
                f'array of {{"prefix": "s3://..."}} and relative keys'
            ) from error
        base_bucket, base = split(prefix)
        for name in names:
            yield Item(base_bucket, base + name, name)

    def _nothing(self, uri: str, bucket: str, role: str) -> str:
        return (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({self._region}), that objects exist under that S3 prefix, and that the "
            f'role "{role}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )


def _clash(item: Item) -> str:
    return (
        f"Data download failed:Cannot download s3://{item.bucket}/{item.key}, a previously downloaded file/folder "
        "clashes with it. Please check your s3 objects and ensure that there is no object that is both a folder as "
        "well as a file."
    )
