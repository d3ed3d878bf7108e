"""The deploy function's AWS calls against moto over HTTP. UpdateEndpoint, which moto lacks, is tested end to end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from deploy_model import access, logic

from ml.aws.session import client
from tests.infra.fake_access import ARCHIVE

URL = "s3://lake/executions/7/model.tar.gz"
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


def test_verified_artifact_is_copied(aws: access.Aws) -> None:
    """Replacing the original object afterwards does not change the copy."""
    copy = aws.pinned(URL, SHA256)
    assert copy == f"s3://lake/deploy/artifacts/{SHA256}/model.tar.gz"
    client("s3").put_object(Bucket="lake", Key="executions/7/model.tar.gz", Body=b"swapped")
    key = copy.removeprefix("s3://lake/")
    assert client("s3").get_object(Bucket="lake", Key=key)["Body"].read() == ARCHIVE


@pytest.mark.parametrize("url", [URL, "s3://lake/absent", "s3://lake", "https://lake/x", ""])
def test_artifact_with_another_digest_is_not_copied(aws: access.Aws, url: str) -> None:
    """Nor is one that does not exist or is not in S3."""
    assert aws.pinned(url, "e" * 64) is None
    assert client("s3").list_objects_v2(Bucket="lake", Prefix="deploy/")["KeyCount"] == 0


def test_missing_resources_are_none(aws: access.Aws) -> None:
    """SageMaker reports a missing resource only by the message of a ValidationException."""
    assert aws.text("deploy/desired.json") is None
    assert aws.endpoint("absent") is None
    assert aws.model("absent") is None
    assert aws.endpoint_config("absent") is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("create_model", 'Cannot create already existing model "arn:x".'),
        ("create_endpoint_config", 'Cannot create already existing endpoint configuration "arn:x".'),
        ("create_endpoint", 'Cannot create already existing endpoint "arn:x".'),
        ("update_endpoint", 'Cannot update in-progress endpoint "arn:x".'),
    ],
)
def test_change_that_another_call_made_is_a_race(
    aws: access.Aws, monkeypatch: pytest.MonkeyPatch, call: str, message: str
) -> None:
    """SageMaker has no code of its own for it; any other refusal stays what it is."""

    def refusing(text: str) -> Callable[..., None]:
        def refuse(**_: Any) -> None:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": text}}, call)

        return refuse

    monkeypatch.setattr(aws._sagemaker, call, refusing(message))
    with pytest.raises(logic.Raced, match="arn:x"):
        getattr(aws, call)()
    monkeypatch.setattr(aws._sagemaker, call, refusing("Could not find model"))
    with pytest.raises(ClientError):
        getattr(aws, call)()


def test_connection_error_is_transient() -> None:
    """An error of the network is retried, a ValueError is not."""
    assert access.passing(EndpointConnectionError(endpoint_url="https://s3"))
    assert not access.passing(ValueError("ours"))
