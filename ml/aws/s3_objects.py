"""Reads and writes whole S3 objects by URI."""

from __future__ import annotations

from ml.aws.session import client, code, explained
from ml.errors import CloudError, DataError

SCHEME = "s3://"


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


def write(uri: str, data: bytes, content_type: str) -> None:
    """Writes `data` to `uri`, replacing an existing object. Raises CloudError if S3 refuses."""
    bucket, key = split(uri)
    with explained(f"writing {uri}"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)


def split(uri: str) -> tuple[str, str]:
    """The bucket and the key of s3://bucket/key. Raises DataError if `uri` has another form."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket or not key:
        raise DataError(f"{uri}: must be s3://BUCKET/KEY")
    return bucket, key
