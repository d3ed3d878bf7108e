"""The handler deploys an approved package and stores the outcome; it raises transient errors so that Lambda retries."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deploy_model import access, handler, logic

from ml.aws.session import client
from tests.infra.fake_access import CONTAINER, desired, event

URL = "s3://lake/executions/7/model.tar.gz"


def notifications() -> list[dict[str, Any]]:
    """The messages that subscribers of the topic received."""
    queue = client("sqs").get_queue_url(QueueName="notifications")["QueueUrl"]
    messages = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def outcome(identifier: str = "event-1") -> dict[str, Any]:
    """The outcome object of an event."""
    body = client("s3").get_object(Bucket="lake", Key=f"deploy/outcomes/{identifier}.json")["Body"].read()
    document: dict[str, Any] = json.loads(body)
    return document


def approved(url: str = URL) -> str:
    """Creates an approved package and an order for it; returns its ARN."""
    container = {"Image": CONTAINER["image"], "Environment": CONTAINER["environment"], "ModelDataUrl": url}
    arn: str = client("sagemaker").create_model_package(
        ModelPackageGroupName="fraudops-model",
        ModelApprovalStatus="Approved",
        InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
    )["ModelPackageArn"]
    order = json.dumps(desired(model_package_arn=arn)).encode()
    client("s3").put_object(Bucket="lake", Key="deploy/desired.json", Body=order)
    return arn


def failing(code: str, status: int = 400) -> ClientError:
    """An error of AWS."""
    problem = {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(problem, "CreateEndpoint")  # type: ignore[arg-type]  # the stubs want every key


def test_desired_package_is_deployed(aws: access.Aws) -> None:
    """The endpoint is created, the outcome names the event and the order, and no notification is sent."""
    arn = approved()
    answer = handler.handle(event(arn), None)
    assert answer == outcome()
    assert (answer["outcome"], answer["model_package_arn"], answer["desired"]) == ("created", arn, "order-1")
    endpoint = client("sagemaker").describe_endpoint(EndpointName="fraudops-production")
    assert endpoint["EndpointConfigName"] == answer["endpoint_config"]
    model = client("sagemaker").describe_model(ModelName=answer["endpoint_config"])
    assert model["PrimaryContainer"]["Environment"]["FRAUDOPS_MODEL_VERSION"] == "0007"
    assert notifications() == []


def test_duplicate_event_keeps_the_first_outcome(aws: access.Aws) -> None:
    """The stored outcome is that of the first delivery, not "unchanged"."""
    arn = approved()
    handler.handle(event(arn), None)
    assert handler.handle(event(arn), None)["outcome"] == "unchanged"
    assert outcome()["outcome"] == "created"


def test_refusal_is_stored_and_published(aws: access.Aws) -> None:
    """A package that is approved but not desired is refused with a notification; no endpoint is created."""
    approved()
    other = approved()
    arn = other[:-1] + "1"
    answer = handler.handle(event(arn), None)
    assert (answer["outcome"], answer["code"]) == ("refused", "not-desired")
    (message,) = notifications()
    assert message["Subject"] == "fraudops: deployment refused (not-desired)"
    assert json.loads(message["Message"]) == answer == outcome()
    assert aws.endpoint("fraudops-production") is None


def test_permanent_error_is_an_outcome(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exceeded quota is stored as a failure and published, not retried."""
    arn = approved()

    def refuse(self: access.Aws, **request: Any) -> None:
        raise failing("ResourceLimitExceeded")

    monkeypatch.setattr(access.Aws, "create_endpoint", refuse)
    answer = handler.handle(event(arn), None)
    assert (answer["outcome"], answer["code"]) == ("failed", "ResourceLimitExceeded")
    assert answer["desired"] == "order-1"
    assert "because" in answer["reason"]
    assert len(notifications()) == 1


@pytest.mark.parametrize("error", [failing("ThrottlingException"), failing("Odd", 503), failing("ConflictException")])
def test_transient_error_is_raised(aws: access.Aws, monkeypatch: pytest.MonkeyPatch, error: ClientError) -> None:
    """Lambda then retries; no outcome is stored and nothing is published."""
    arn = approved()

    def refuse(self: access.Aws, **request: Any) -> None:
        raise error

    monkeypatch.setattr(access.Aws, "create_endpoint", refuse)
    with pytest.raises(ClientError):
        handler.handle(event(arn), None)
    assert client("s3").list_objects_v2(Bucket="lake", Prefix="deploy/outcomes/")["KeyCount"] == 0
    assert notifications() == []
    monkeypatch.undo()


def test_busy_endpoint_is_raised(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy makes Lambda deliver the event again."""
    arn = approved()
    busy = {"EndpointStatus": "Updating", "EndpointConfigName": "another"}
    monkeypatch.setattr(access.Aws, "endpoint", lambda self, name: busy)
    with pytest.raises(logic.Busy):
        handler.handle(event(arn), None)


def test_every_line_of_the_log_is_json(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line has the outcome's fields, so logs can be queried by approval."""
    lines: list[str] = []
    logger = handler._logger()
    monkeypatch.setattr(logger.handlers[0], "emit", lambda record: lines.append(logger.handlers[0].format(record)))
    arn = approved()
    handler.handle(event(arn), None)
    (line,) = map(json.loads, lines)
    assert (line["level"], line["message"], line["model_package_arn"]) == ("INFO", "created", arn)
    assert logger.propagate is False
    assert logger.level == logging.INFO
