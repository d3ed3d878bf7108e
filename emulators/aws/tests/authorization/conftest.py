"""A bucket for the folder's tests."""

from __future__ import annotations

import pytest
from aws_resources import unique_name
from local_aws.server import LocalAws


@pytest.fixture
def bucket(aws: LocalAws) -> str:
    """A new bucket with one object, `a/one`."""
    name = unique_name("bucket")
    aws.client("s3").create_bucket(Bucket=name)
    aws.client("s3").put_object(Bucket=name, Key="a/one", Body=b"1")
    return name
