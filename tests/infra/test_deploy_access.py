"""The deploy function's calls and its handler against moto over HTTP; only UpdateEndpoint, which moto lacks, is left to
the end-to-end tests."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from deploy_model import access, handler, logic

from ml.aws.session import client
from tests.harness.aws import moto_server
from tests.infra.fake_access import ARCHIVE, CONTAINER, desired, event

SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
URL = "s3://lake/executions/7/model.tar.gz"


@pytest.fixture
def aws(server: str, monkeypatch: pytest.MonkeyPatch) -> access.Aws:
    """A lake with a model in it, a package group, a topic with a queue behind it, and the function's environment."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")  # Lambda sets both
    moto_server.make_bucket("lake")
    client("s3").put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    client("s3").put_object(Bucket="lake", Key="executions/7/model.tar.gz", Body=ARCHIVE)
    client("sagemaker").create_model_package_group(ModelPackageGroupName="fraudops-model")
    topic = client("sns").create_topic(Name="t")["TopicArn"]
    queue = client("sqs").create_queue(QueueName="told")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    for name, value in {
        "BUCKET": "lake",
        "PACKAGE_GROUP": "fraudops-model",
        "ENDPOINT_ROLE_ARN": "arn:aws:iam::123456789012:role/endpoint",
        "TOPIC_ARN": topic,
    }.items():
        monkeypatch.setenv(name, value)
    return access.Aws("lake", topic)


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


def failing(code: str, status: int = 400) -> ClientError:
    """An error of AWS."""
    problem = {"Error": {"Code": code, "Message": "because"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(problem, "CreateEndpoint")  # type: ignore[arg-type]  # the stubs want every key


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


def test_no_connection_may_pass() -> None:
    """An error of the network is worth another try, one of our own is not."""
    assert access.passing(EndpointConnectionError(endpoint_url="https://s3"))
    assert not access.passing(ValueError("ours"))


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
