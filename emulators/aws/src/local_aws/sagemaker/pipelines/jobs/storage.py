"""Transfers a job's inputs and outputs between S3 and its folder, with SageMaker's rules for prefixes and manifests.

An S3Prefix is a prefix of keys, not a folder: `s3://b/train` also matches `train2/x`, as on AWS.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from local_aws.errors import AwsError
from local_aws.service_rules.catalog import violation

_CONCURRENT_TRANSFERS = 8
_BLOCK_BYTES = 1 << 20


class ClientFault(Exception):
    """A job fails because of its arguments or inputs: SageMaker's ClientError, with its message."""


class CreateFault(ClientFault):
    """The Create call of a job is refused; the job does not exist."""


@dataclass(frozen=True)
class Item:
    """One object to fetch, and its path relative to the input's local path."""

    bucket: str
    key: str
    relative: str


def split(uri: str) -> tuple[str, str]:
    """Bucket and key (or prefix) of an S3 URI.

    Raises:
        CreateFault: it is not an S3 URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme not in ("s3", "https") or not bucket or scheme == "https":
        raise CreateFault(f"The S3 URI '{uri}' is not valid, it must start with s3://bucket/")
    return bucket, key


class Storage:
    """S3 as one role, for the inputs and outputs of its jobs.

    Args:
        client: returns the role's S3 client; AwsError if the role cannot be assumed.
        key: the KMS key of what is written; '' leaves it to the bucket.
    """

    def __init__(self, client: Callable[[], Any], region: str, *, key: str = "") -> None:
        self._client, self._region = client, region
        self._encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if key else {}

    @property
    def _s3(self) -> Any:
        try:
            return self._client()
        except AwsError as error:
            raise CreateFault(error.message) from error

    def plan(self, uri: str, data_type: str, role: str) -> list[Item]:
        """The objects of an input, without fetching them.

        Raises:
            CreateFault: there are none, with the message of the Create call.
        """
        bucket, key = split(uri)
        if data_type == "S3Prefix":
            items = list(self._list_prefix(bucket, key))
        elif data_type == "ManifestFile":
            items = list(self._list_manifest(uri))
        else:
            raise CreateFault(f"S3DataType '{data_type}' is not supported by the AWS emulator")
        if not items:
            raise CreateFault(self._no_objects_message(uri, bucket, role))
        return items

    def fetch(self, items: list[Item], folder: Path) -> None:
        """Fetches every object into `folder`.

        Raises:
            ClientFault: two objects have the same path, a path is outside of the folder, or the role may not read one.
        """
        places = [PurePosixPath(item.relative) for item in items]
        files, seen = set(places), set[PurePosixPath]()
        for item, place in zip(items, places, strict=True):
            outside = place.is_absolute() or ".." in place.parts
            if outside or place in seen or files.intersection(place.parents) or (folder / place).exists():
                raise ClientFault(_clash_message(item))
            seen.add(place)
        for place in places:
            (folder / place).parent.mkdir(parents=True, exist_ok=True)

        s3 = self._s3

        def download(item: Item) -> None:
            # One call for each object: `download_file` first asks for the size, which doubles the calls for a job's
            # many small files of code.
            try:
                body = s3.get_object(Bucket=item.bucket, Key=item.key)["Body"]
            except ClientError as error:
                if not _is_denied(error):
                    raise
                raise ClientFault(_download_denied_message(item)) from error
            with (folder / item.relative).open("wb") as file:
                shutil.copyfileobj(body, file, _BLOCK_BYTES)

        with ThreadPoolExecutor(_CONCURRENT_TRANSFERS, thread_name_prefix="fetch") as pool:
            list(pool.map(download, items))

    def send(self, folder: Path, uri: str) -> None:
        """Uploads every file below `folder` to `uri`.

        Raises:
            ClientFault: there is no such bucket, or the role may not write there.
        """
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        bucket, prefix = split(uri)
        s3 = self._s3

        def upload(path: Path) -> None:
            key = "/".join(filter(None, [prefix.rstrip("/"), path.relative_to(folder).as_posix()]))
            s3.upload_file(str(path), bucket, key, ExtraArgs=self._encryption)

        with _upload_failures(uri), ThreadPoolExecutor(_CONCURRENT_TRANSFERS, thread_name_prefix="send") as pool:
            list(pool.map(upload, files))

    def send_file(self, path: Path, uri: str) -> None:
        """Uploads one file to `uri`; raises as `send` does."""
        bucket, key = split(uri)
        with _upload_failures(uri):
            self._s3.upload_file(str(path), bucket, key, ExtraArgs=self._encryption)

    def read(self, uri: str) -> bytes:
        """The object at `uri`.

        Raises:
            ClientFault: it does not exist, or the role may not read it.
        """
        bucket, key = split(uri)
        try:
            return bytes(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "NoSuchBucket", "404"):
                raise ClientFault(f"The specified key does not exist: {uri}") from error
            if _is_denied(error):
                raise ClientFault(_download_denied_message(Item(bucket, key, ""))) from error
            raise

    def exists(self, uri: str) -> bool:
        """Whether an object that the role may list exists at `uri`, or below it if it ends with a slash."""
        bucket, key = split(uri)
        try:
            found: Mapping[str, Any] = self._s3.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket" or _is_denied(error):
                return False
            raise
        return any(entry["Key"] == key or key.endswith("/") for entry in found.get("Contents", []))

    def _list_prefix(self, bucket: str, prefix: str) -> Iterator[Item]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        parent = prefix.rpartition("/")[0]
        try:
            for page in pages:
                for entry in page.get("Contents", []):
                    key = entry["Key"]
                    if key.endswith("/"):
                        continue  # the marker of a folder
                    inside = not prefix or prefix.endswith("/") or key.startswith(f"{prefix}/")
                    yield Item(bucket, key, key[len(prefix if inside else parent) :].lstrip("/"))
        except ClientError as error:
            # An input that the role may not list is refused with the message for one that does not exist.
            if error.response["Error"]["Code"] != "NoSuchBucket" and not _is_denied(error):
                raise

    def _list_manifest(self, uri: str) -> Iterator[Item]:
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

    def _no_objects_message(self, uri: str, bucket: str, role: str) -> str:
        return violation("sagemaker-inputs-missing", uri=uri, region=self._region, role=role, bucket=bucket).message


def _is_denied(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("AccessDenied", "403")


@contextmanager
def _upload_failures(uri: str) -> Iterator[None]:
    """Turns a failed upload that is the caller's fault into a ClientFault."""
    try:
        yield
    except S3UploadFailedError as error:  # has no error code
        if "NoSuchBucket" in str(error):
            raise ClientFault(f"Failed to upload output to {uri}. The specified bucket does not exist") from error
        if "AccessDenied" in str(error):
            reason = str(error).partition("An error occurred ")[2]
            raise ClientFault(f"Failed to upload output to {uri}: An error occurred {reason}") from error
        raise


def _download_denied_message(item: Item) -> str:
    """As aws/amazon-sagemaker-examples#4384 quotes it."""
    uri = f"s3://{item.bucket}/{item.key}"
    return f"Data download failed:Unable to download object {uri} (AccessDenied: Access Denied)"


def _clash_message(item: Item) -> str:
    return (
        f"Data download failed:Cannot download s3://{item.bucket}/{item.key}, a previously downloaded file/folder "
        "clashes with it. Please check your s3 objects and ensure that there is no object that is both a folder as "
        "well as a file."
    )
