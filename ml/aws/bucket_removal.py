"""Deletes buckets with all their objects, versions and delete markers. What it deletes cannot be restored."""

from __future__ import annotations

from typing import Any

from ml.aws import session
from ml.errors import CloudError

_BATCH_KEYS = 1_000  # DeleteObjects accepts no more
_ROUNDS = 10


def exists(name: str) -> bool:
    """Whether the caller's account has the bucket."""
    from botocore.exceptions import ClientError

    with session.explained(f"looking for the bucket {name}"):
        try:
            session.client("s3").head_bucket(Bucket=name)
        except ClientError as error:
            if session.code(error) in ("404", "NoSuchBucket"):
                return False
            raise
    return True


def remove(name: str) -> int:
    """Deletes the bucket and all that it contains; returns the number of versions and delete markers.

    A bucket that does not exist is no error, so that an interrupted removal can be repeated. Objects that arrive
    meanwhile, as access logs do, are deleted too.

    Raises:
        CloudError: an object cannot be deleted, e.g. because of a retention lock; the message names it. Or objects
            still arrive after ten rounds.
    """
    from botocore.exceptions import ClientError

    s3, removed = session.client("s3"), 0
    with session.explained(f"emptying the bucket {name}"):
        for _ in range(_ROUNDS):
            try:
                removed += _empty(s3, name)
                s3.delete_bucket(Bucket=name)
            except ClientError as error:
                if session.code(error) == "NoSuchBucket":
                    return removed
                if session.code(error) != "BucketNotEmpty":
                    raise
            else:
                return removed
    raise CloudError(
        f"the bucket {name} got new objects each time it was emptied ({_ROUNDS} times); stop what writes to it, then "
        "run this again"
    )


def _empty(s3: Any, name: str) -> int:
    removed, batch = 0, []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            batch.append({"Key": item["Key"], "VersionId": item["VersionId"]})
            if len(batch) == _BATCH_KEYS:
                removed += _delete(s3, name, batch)
                batch = []
    return removed + (_delete(s3, name, batch) if batch else 0)


def _delete(s3: Any, bucket: str, batch: list[dict[str, str]]) -> int:
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
    errors = answer.get("Errors", [])
    if errors:
        first = errors[0]
        raise CloudError(
            f"{len(errors)} objects of the bucket {bucket} cannot be deleted, the first s3://{bucket}/{first['Key']}: "
            f"{first.get('Code', 'error')}: {first.get('Message', 'no reason given')}"
        )
    return len(batch)
