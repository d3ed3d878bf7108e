"""CloudFormation changes resources with the permissions of its caller, or of the stack's service role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name
from botocore.exceptions import ClientError
from callers import Session, decisions
from local_aws.server import LocalAws

STACKS = allow(["cloudformation:CreateStack", "cloudformation:UpdateStack", "cloudformation:DescribeStacks"])
VIA: dict[str, Any] = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}


def template(**properties: Any) -> str:
    """A template with one queue."""
    return json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue", "Properties": properties}}})


def outcome(aws: LocalAws, name: str) -> tuple[str, str]:
    """The stack's status and its reason."""
    stack = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    return stack["StackStatus"], stack.get("StackStatusReason", "")


def test_resource_needs_the_permissions_of_the_caller(aws: LocalAws) -> None:
    """A call that the caller may not make fails the resource with IAM's message, and the stack rolls back."""
    name = unique_name("stack")
    session = Session(aws, STACKS, allow("sqs:GetQueueAttributes", **VIA))
    session.client("cloudformation").create_stack(StackName=name, TemplateBody=template())
    status, reason = outcome(aws, name)
    assert status == "ROLLBACK_COMPLETE"
    assert f"{session.arn} is not authorized to perform: sqs:CreateQueue on resource: " in reason
    assert f":{name}-Queue-" in reason


def test_calls_of_cloudformation_have_called_via(aws: LocalAws) -> None:
    """A permission conditioned on aws:CalledVia serves CloudFormation and not the caller itself."""
    name, session = unique_name("stack"), Session(aws, STACKS, allow("sqs:*", **VIA))
    session.client("cloudformation").create_stack(StackName=name, TemplateBody=template())
    assert outcome(aws, name)[0] == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="sqs:CreateQueue"):
        session.client("sqs").create_queue(QueueName=name)
    assert {"sqs:CreateQueue", "sqs:GetQueueAttributes"} <= {line["action"] for line in decisions(aws, session.role)}


def test_update_needs_what_the_change_needs(aws: LocalAws) -> None:
    """A caller who may create but not change a queue gets the update rolled back."""
    name = unique_name("stack")
    session = Session(aws, STACKS, allow(["sqs:CreateQueue", "sqs:GetQueueAttributes"]))
    cloudformation = session.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=template(DelaySeconds=0))
    assert outcome(aws, name)[0] == "CREATE_COMPLETE"
    cloudformation.update_stack(StackName=name, TemplateBody=template(DelaySeconds=5))
    status, reason = outcome(aws, name)
    assert status.startswith("UPDATE_ROLLBACK")
    assert "sqs:SetQueueAttributes" in reason


def test_service_role_acts_in_place_of_the_caller(aws: LocalAws) -> None:
    """With RoleARN the caller passes the role, and the role makes the calls."""
    role = create_role(aws, unique_name("deployer"), "cloudformation.amazonaws.com", allow("sqs:*"))
    name, session = unique_name("stack"), Session(aws, STACKS, allow("iam:PassRole", role))
    session.client("cloudformation").create_stack(StackName=name, TemplateBody=template(), RoleARN=role)
    assert outcome(aws, name)[0] == "CREATE_COMPLETE"
    assert "sqs:CreateQueue" in {line["action"] for line in decisions(aws, role)}
    with pytest.raises(ClientError, match="iam:PassRole"):
        Session(aws, STACKS).client("cloudformation").create_stack(
            StackName=unique_name("stack"), TemplateBody=template(), RoleARN=role
        )


def test_type_without_known_calls_is_for_the_administrator(aws: LocalAws) -> None:
    """Its name is in the reason; the administrator deploys it."""
    thing = {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "n", "Type": "String", "Value": "v"}}
    body = json.dumps({"Resources": {"Thing": thing}})
    name = unique_name("stack")
    Session(aws, allow("*")).client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    status, reason = outcome(aws, name)
    assert status == "ROLLBACK_COMPLETE"
    assert "AWS::SSM::Parameter" in reason
    other = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=other, TemplateBody=body)
    assert outcome(aws, other)[0] == "CREATE_COMPLETE"
