"""CloudFormation changes resources with the permissions of its caller, or of the stack's service role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name
from botocore.exceptions import ClientError
from callers import Session, decisions
from local_aws.cloudformation import stack_authorization
from local_aws.cloudformation.resource_change import Change
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


KEYED = """
Resources:
  Key:
    Type: AWS::KMS::Key
    Properties:
      EnableKeyRotation: true
      Tags: [{Key: stack, Value: TAG}]
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {AWS: !Sub "arn:aws:iam::${AWS::AccountId}:root"}
            Action: "kms:*"
            Resource: "*"
  Alias:
    Type: AWS::KMS::Alias
    Properties: {AliasName: !Sub "alias/${AWS::StackName}", TargetKeyId: !Ref Key}
"""
NEW_KEY = allow(["kms:CreateKey", "kms:TagResource"], StringEquals={"aws:RequestTag/stack": "mine"}, **VIA)
OWN_KEY = allow("kms:*", "arn:aws:kms:us-east-1:*:key/*", StringEquals={"aws:ResourceTag/stack": "mine"}, **VIA)
ALIASES = allow(["kms:CreateAlias", "kms:ListAliases"], **VIA)


def test_key_is_judged_by_its_tags(aws: LocalAws) -> None:
    """A role that may create and change keys of one tag creates one, rotates it and names it; no other tag passes."""
    own, other = unique_name("stack"), unique_name("stack")
    session = Session(aws, STACKS, NEW_KEY, OWN_KEY, ALIASES)
    session.client("cloudformation").create_stack(StackName=own, TemplateBody=KEYED.replace("TAG", "mine"))
    assert outcome(aws, own) == ("CREATE_COMPLETE", "")
    kms = aws.client("kms")
    key = kms.describe_key(KeyId=f"alias/{own}")["KeyMetadata"]["Arn"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True
    session.client("cloudformation").create_stack(StackName=other, TemplateBody=KEYED.replace("TAG", "other"))
    status, reason = outcome(aws, other)
    assert status == "ROLLBACK_COMPLETE"
    assert "is not authorized to perform: kms:CreateKey" in reason


def test_key_policy_and_rotation_are_updated_in_place(aws: LocalAws) -> None:
    """An update keeps the key and needs the permission for what it changes; a deleted stack schedules the deletion."""
    name, cloudformation, kms = unique_name("stack"), aws.client("cloudformation"), aws.client("kms")
    body = KEYED.replace("TAG", "mine")
    cloudformation.create_stack(StackName=name, TemplateBody=body)
    key = kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["KeyId"]
    session = Session(aws, STACKS, OWN_KEY, ALIASES)
    still = body.replace("EnableKeyRotation: true", "EnableKeyRotation: false").replace("stack, Value", "owner, Value")
    session.client("cloudformation").update_stack(StackName=name, TemplateBody=still)
    assert outcome(aws, name)[0] == "UPDATE_COMPLETE"
    assert kms.describe_key(KeyId=f"alias/{name}")["KeyMetadata"]["KeyId"] == key
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    assert [tag["TagKey"] for tag in kms.list_resource_tags(KeyId=key)["Tags"]] == ["owner"]
    cloudformation.delete_stack(StackName=name)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_moto_alone_authorizes_nothing(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto's patched stacks outlive an emulator; where none runs, a resource of any type may be changed."""
    monkeypatch.setattr(stack_authorization, "authorizer", None)
    stack_authorization.check("AWS::S3::Bucket", Change(name=unique_name("bucket"), before=None, after={}))
