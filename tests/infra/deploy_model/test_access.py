"""The deploy function's calls of AWS, against moto over HTTP; UpdateEndpoint, which moto lacks, runs end to end."""

from __future__ import annotations

import hashlib

import pytest
from botocore.exceptions import EndpointConnectionError
from deploy_model import access

from ml.aws.session import client
from tests.infra.fake_access import ARCHIVE

URL = "s3://lake/executions/7/model.tar.gz"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


def test_what_serves_is_a_copy_of_the_version_that_was_verified(aws: access.Aws) -> None:
    """Replacing the object afterwards changes nothing of what an endpoint would load."""
    copy = aws.pinned(URL, SHA256)
    assert copy == f"s3://lake/deploy/artifacts/{SHA256}/model.tar.gz"
    client("s3").put_object(Bucket="lake", Key="executions/7/model.tar.gz", Body=b"swapped")
    key = copy.removeprefix("s3://lake/")
    assert client("s3").get_object(Bucket="lake", Key=key)["Body"].read() == ARCHIVE


@pytest.mark.parametrize("url", [URL, "s3://lake/absent", "s3://lake", "https://lake/x", ""])
def test_another_content_is_not_copied(aws: access.Aws, url: str) -> None:
    """Neither one of another digest, nor one that is not there or not in S3."""
    assert aws.pinned(url, "e" * 64) is None
    assert client("s3").list_objects_v2(Bucket="lake", Prefix="deploy/")["KeyCount"] == 0


def test_what_is_not_there_is_none(aws: access.Aws) -> None:
    """SageMaker says so in a message only."""
    assert aws.text("deploy/desired.json") is None
    assert aws.endpoint("absent") is None
    assert aws.model("absent") is None
    assert aws.endpoint_config("absent") is None


def test_no_connection_may_pass() -> None:
    """An error of the network is worth another try, one of our own is not."""
    assert access.passing(EndpointConnectionError(endpoint_url="https://s3"))
    assert not access.passing(ValueError("ours"))
