"""What the policies of the platform's bucket and queue allow and deny, tried on the AWS emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from local_aws.server import LocalAws

from tests.harness.platform.stacks import create, physical, store_code


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """An emulator with the function's code."""
    with LocalAws(tmp_path_factory.mktemp("aws")) as running:
        store_code(running)
        yield running


@pytest.mark.denied_calls("the function's policy no longer admits EventBridge")
def test_event_that_cannot_be_delivered_becomes_a_dead_letter(aws: LocalAws, repository_root: Path) -> None:
    """EventBridge may send it to the queue, for this stack's rules: the event, and why the function did not get it."""
    found = create(aws, repository_root, "undelivered", EndpointName="undelivered")
    functions, ids = aws.client("lambda"), physical(aws, "undelivered")
    policy = json.loads(functions.get_policy(FunctionName=found["DeployFunction"])["Policy"])
    for statement in policy["Statement"]:
        functions.remove_permission(FunctionName=found["DeployFunction"], StatementId=statement["Sid"])
    detail = {"ModelPackageGroupName": "undelivered-model", "ModelApprovalStatus": "Approved"}
    event = {"Source": "aws.sagemaker", "DetailType": "SageMaker Model Package State Change"}
    aws.client("events").put_events(Entries=[{**event, "Detail": json.dumps(detail)}])
    assert aws.flush()
    received = aws.client("sqs").receive_message(QueueUrl=ids["DeadLetters"], MessageAttributeNames=["All"])
    (message,) = received["Messages"]
    assert json.loads(message["Body"])["detail"] == detail
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert attributes["RULE_ARN"].rpartition("/")[2] == ids["ApprovedRule"]
    assert "lambda:InvokeFunction" in attributes["ERROR_MESSAGE"]


@pytest.mark.denied_calls("the administrator tries to replace a deployed archive")
def test_only_the_deploy_function_writes_deployed_archives(aws: LocalAws, repository_root: Path) -> None:
    """Whatever the caller's own policies allow; other keys of the lake stay writable."""
    found = create(aws, repository_root, "locked", EndpointName="locked")
    s3 = aws.client("s3")
    with pytest.raises(ClientError, match="with an explicit deny in a resource-based policy"):
        s3.put_object(Bucket=found["Bucket"], Key="deploy/artifacts/a/model.tar.gz", Body=b"1")
    s3.put_object(Bucket=found["Bucket"], Key="deploy/outcomes/a.json", Body=b"{}")
