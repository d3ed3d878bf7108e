"""Calls AWS for the deploy Lambda, and classifies failures as retryable or final."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy_model.logic import Raced

_CHUNK_BYTES = 1 << 20
_PINNED = "deploy/artifacts"
_S3_URL = re.compile(r"^s3://(?P<bucket>[^/]+)/(?P<key>.+)$")
_ABSENT = re.compile(r"could not find|does not exist|not found", re.IGNORECASE)
_RACED = re.compile(r"cannot create already existing|cannot update in-progress", re.IGNORECASE)
_PASSING = frozenset(
    {
        "ConflictException",
        "InternalFailure",
        "InternalServerException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def passing(error: Exception) -> bool:
    """Whether `error` is transient: throttling, a 5xx, a conflict with another call, no connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        return error.response.get("Error", {}).get("Code") in _PASSING or status >= 500
    return isinstance(error, BotoCoreError)


class Aws:
    """The AWS calls of `logic.Access`, and those that report an outcome."""

    def __init__(self, bucket: str, topic_arn: str) -> None:
        self._bucket, self._topic_arn = bucket, topic_arn
        config = Config(retries={"mode": "standard", "max_attempts": 5}, user_agent_extra="app/fraudops-deploy")
        self._s3: Any = boto3.client("s3", config=config)
        self._sagemaker: Any = boto3.client("sagemaker", config=config)
        self._sns: Any = boto3.client("sns", config=config)

    def text(self, key: str) -> str | None:
        """The object `key` of the lake; None if there is none."""
        try:
            body: bytes = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return None
        return body.decode("utf-8")

    def package(self, arn: str) -> dict[str, Any]:
        """DescribeModelPackage."""
        answer: dict[str, Any] = self._sagemaker.describe_model_package(ModelPackageName=arn)
        return answer

    def pinned(self, url: str, sha256: str) -> str | None:
        """The URL of a copy of the object at `url` that only this function may write.

        None if there is no such object, or it has another digest than `sha256`.

        SageMaker reads a model's archive again whenever it adds or replaces an instance. So the endpoint must serve a
        copy of the version that was read here; otherwise the object at `url` could be replaced after this check.
        """
        match = _S3_URL.match(url)
        if match is None:
            return None
        source = {"Bucket": match["bucket"], "Key": match["key"]}
        try:
            answer = self._s3.get_object(**source)
        except self._s3.exceptions.NoSuchKey:
            return None
        digest = hashlib.sha256()
        for chunk in answer["Body"].iter_chunks(_CHUNK_BYTES):
            digest.update(chunk)
        if digest.hexdigest() != sha256:
            return None
        if answer.get("VersionId"):
            source["VersionId"] = answer["VersionId"]
        key = f"{_PINNED}/{sha256}/model.tar.gz"
        self._s3.copy_object(Bucket=self._bucket, Key=key, CopySource=source, CopySourceIfMatch=answer["ETag"])
        return f"s3://{self._bucket}/{key}"

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """DescribeEndpoint; None if there is none."""
        return _found(self._sagemaker.describe_endpoint, EndpointName=name)

    def model(self, name: str) -> dict[str, Any] | None:
        """DescribeModel; None if there is none."""
        return _found(self._sagemaker.describe_model, ModelName=name)

    def endpoint_config(self, name: str) -> dict[str, Any] | None:
        """DescribeEndpointConfig; None if there is none."""
        return _found(self._sagemaker.describe_endpoint_config, EndpointConfigName=name)

    def create_model(self, **request: Any) -> None:
        """CreateModel."""
        _change(self._sagemaker.create_model, request)

    def create_endpoint_config(self, **request: Any) -> None:
        """CreateEndpointConfig."""
        _change(self._sagemaker.create_endpoint_config, request)

    def create_endpoint(self, **request: Any) -> None:
        """CreateEndpoint."""
        _change(self._sagemaker.create_endpoint, request)

    def update_endpoint(self, **request: Any) -> None:
        """UpdateEndpoint."""
        _change(self._sagemaker.update_endpoint, request)

    def delete_endpoint(self, name: str) -> None:
        """DeleteEndpoint."""
        self._sagemaker.delete_endpoint(EndpointName=name)

    def record(self, event_id: str, document: dict[str, Any]) -> None:
        """Writes the outcome of an event for `fraudops deploy`; the first outcome of an event is kept."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=f"deploy/outcomes/{event_id}.json",
                Body=json.dumps(document, sort_keys=True).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
                raise

    def report(self, subject: str, document: dict[str, Any]) -> None:
        """Publishes a message to the notification topic."""
        # SNS accepts subjects of up to 100 printable ASCII characters.
        subject = re.sub(r"[^ -~]", "?", subject)[:100]
        self._sns.publish(TopicArn=self._topic_arn, Subject=subject, Message=json.dumps(document, indent=2))


def _change(call: Callable[..., Any], request: dict[str, Any]) -> None:
    try:
        call(**request)
    except ClientError as error:
        # SageMaker answers ValidationException; only the message says that another call was first.
        if _RACED.search(error.response.get("Error", {}).get("Message", "")):
            raise Raced(str(error)) from error
        raise


def _found(describe: Callable[..., dict[str, Any]], **name: str) -> dict[str, Any] | None:
    try:
        return describe(**name)
    except ClientError as error:
        # SageMaker answers ValidationException for both; only the message distinguishes "missing" from "malformed".
        if _ABSENT.search(error.response.get("Error", {}).get("Message", "")):
            return None
        raise
