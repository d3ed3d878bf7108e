"""Reads which objects a training set lists: what `Lake.training_set` wrote under its digest."""

from __future__ import annotations

import json

from ml.aws import s3_objects
from ml.errors import DataError

PREFIX = "training-sets"


def keys(bucket: str, sha256: str) -> frozenset[str] | None:
    """The keys of the files of the training set with the digest `sha256`; None if its listing is gone or damaged.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    try:
        files, _window = json.loads(s3_objects.read(f"s3://{bucket}/{PREFIX}/{sha256}/files.json"))
        return frozenset(key for key, _ in files)
    except (DataError, ValueError, TypeError):
        return None
