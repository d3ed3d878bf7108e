"""The handler deploys an approved package and writes its outcome; transient failures are raised for a retry."""

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


def told() -> list[dict[str, Any]]:
    """What subscribers of the topic got."""
    queue = client("sqs").get_queue_url(QueueName="told")["QueueUrl"]
    messages = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def outcome(identifier: str = "event-1") -> dict[str, Any]:
    """The outcome object of an event."""
    body = client("s3").get_object(Bucket="lake", Key=f"deploy/outcomes/{identifier}.json")["Body"].read()
    document: dict[str, Any] = json.loads(body)
    return document


def approved(url: str = URL) -> str:
    """A package that is Approved, and desired; its ARN."""
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


def test_approved_package_that_git_wants_is_deployed(aws: access.Aws) -> None:
    """The endpoint is created; the outcome says by which event, for which order; nobody is alarmed."""
    arn = approved()
    answer = handler.handle(event(arn), None)
    assert answer == outcome()
    assert (answer["outcome"], answer["model_package_arn"], answer["desired"]) == ("created", arn, "order-1")
    endpoint = client("sagemaker").describe_endpoint(EndpointName="fraudops-production")
    assert endpoint["EndpointConfigName"] == answer["endpoint_config"]
    model = client("sagemaker").describe_model(ModelName=answer["endpoint_config"])
    assert model["PrimaryContainer"]["Environment"]["FRAUDOPS_MODEL_VERSION"] == "0007"
    assert told() == []


def test_duplicate_leaves_the_first_outcome(aws: access.Aws) -> None:
    """Who waits for the outcome sees what the event did, not that its second delivery did nothing more."""
    arn = approved()
    handler.handle(event(arn), None)
    assert handler.handle(event(arn), None)["outcome"] == "unchanged"
    assert outcome()["outcome"] == "created"


def test_refusal_is_written_and_told(aws: access.Aws) -> None:
    """People hear of a model that was approved by hand; the endpoint does not come to be."""
    approved()
    other = approved()
    arn = other[:-1] + "1"
    answer = handler.handle(event(arn), None)
    assert (answer["outcome"], answer["code"]) == ("refused", "not-desired")
    (message,) = told()
    assert message["Subject"] == "fraudops: deployment refused (not-desired)"
    assert json.loads(message["Message"]) == answer == outcome()
    assert aws.endpoint("fraudops-production") is None


def test_no_for_good_is_an_outcome(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quota that is used up will not be there in a minute: it is told instead of tried again."""
    arn = approved()

    def refuse(self: access.Aws, **request: Any) -> None:
        raise failing("ResourceLimitExceeded")

    monkeypatch.setattr(access.Aws, "create_endpoint", refuse)
    answer = handler.handle(event(arn), None)
    assert (answer["outcome"], answer["code"]) == ("failed", "ResourceLimitExceeded")
    assert answer["desired"] == "order-1"
    assert "because" in answer["reason"]
    assert len(told()) == 1


@pytest.mark.parametrize("error", [failing("ThrottlingException"), failing("Odd", 503), failing("ConflictException")])
def test_what_may_pass_is_raised(aws: access.Aws, monkeypatch: pytest.MonkeyPatch, error: ClientError) -> None:
    """So that Lambda tries again; no outcome yet, nobody told."""
    arn = approved()

    def refuse(self: access.Aws, **request: Any) -> None:
        raise error

    monkeypatch.setattr(access.Aws, "create_endpoint", refuse)
    with pytest.raises(ClientError):
        handler.handle(event(arn), None)
    assert client("s3").list_objects_v2(Bucket="lake", Prefix="deploy/outcomes/")["KeyCount"] == 0
    assert told() == []
    monkeypatch.undo()


def test_busy_endpoint_is_raised(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda delivers the event again a minute later."""
    arn = approved()
    busy = {"EndpointStatus": "Updating", "EndpointConfigName": "another"}
    monkeypatch.setattr(access.Aws, "endpoint", lambda self, name: busy)
    with pytest.raises(logic.Busy):
        handler.handle(event(arn), None)


def test_every_line_of_the_log_is_json(aws: access.Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the outcome's fields in it, so that a query finds an approval's history."""
    lines: list[str] = []
    logger = handler._logger()
    monkeypatch.setattr(logger.handlers[0], "emit", lambda record: lines.append(logger.handlers[0].format(record)))
    arn = approved()
    handler.handle(event(arn), None)
    (line,) = map(json.loads, lines)
    assert (line["level"], line["message"], line["model_package_arn"]) == ("INFO", "created", arn)
    assert logger.propagate is False
    assert logger.level == logging.INFO
