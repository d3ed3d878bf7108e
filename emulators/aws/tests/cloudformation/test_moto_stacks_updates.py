"""Updates of stacks: which resources change, appear and go, and in which order."""

from __future__ import annotations

import json

import pytest
from aws_resources import unique_name
from botocore.exceptions import ClientError
from cloudformation_stacks import (
    FUNCTION_STACK,
    invoke_function,
    stack_outputs,
    stack_parameters,
    stack_resources,
    stack_status,
    upload_code,
)
from local_aws.server import LocalAws


def test_changed_parameter_updates_dependent_resources(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """Environment, policy and pattern change in place through !Ref and !Sub; no resource is replaced."""
    name, bucket, key = stack
    before = {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in stack_resources(aws, name)}
    keep = [{"ParameterKey": parameter, "UsePreviousValue": True} for parameter in ("Bucket", "Key", "Keep")]
    aws.client("cloudformation").update_stack(
        StackName=name,
        UsePreviousTemplate=True,
        Parameters=[*keep, *stack_parameters(Greeting="bye")],
        Capabilities=["CAPABILITY_IAM"],
    )
    assert stack_status(aws, name) == "UPDATE_COMPLETE"
    assert invoke_function(aws, name) == ["bye!", "first"]
    assert stack_outputs(aws, name)["Greeting"] == f"bye from {name}-function"
    rule = aws.client("events").describe_rule(Name=before["Rule"])
    assert json.loads(rule["EventPattern"]) == {"source": ["bye"]}
    policy = aws.client("iam").get_role_policy(RoleName=before["Role"], PolicyName="inline")["PolicyDocument"]
    assert policy["Statement"][0]["Action"] == "s3:bye"
    assert {item["LogicalResourceId"]: item.get("PhysicalResourceId") for item in stack_resources(aws, name)} == before
    del bucket, key


def test_changed_code_key_updates_the_function(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """A new key of the code in the template's parameters updates the function."""
    name = stack[0]
    bucket, key = upload_code(aws, "second")
    aws.client("cloudformation").update_stack(
        StackName=name,
        TemplateBody=FUNCTION_STACK,
        Parameters=stack_parameters(Bucket=bucket, Key=key),
        Capabilities=["CAPABILITY_IAM"],
    )
    assert invoke_function(aws, name) == ["hello!", "second"]


def test_condition_removes_and_restores_its_resource(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """The resource is deleted if its condition is false and created if it is true."""
    name, bucket, key = stack
    for keep in ("no", "yes"):
        aws.client("cloudformation").update_stack(
            StackName=name, TemplateBody=FUNCTION_STACK, Parameters=stack_parameters(Bucket=bucket, Key=key, Keep=keep),
            Capabilities=["CAPABILITY_IAM"],
        )  # fmt: skip
        there = "Queue" in {item["LogicalResourceId"] for item in stack_resources(aws, name)}
        assert there == (keep == "yes")
        assert bool(aws.client("sqs").list_queues(QueueNamePrefix=name).get("QueueUrls")) == there


def test_update_without_changes_is_refused(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """UpdateStack is refused and a change set is FAILED, both with AWS's messages."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
    same = {"StackName": name, "TemplateBody": FUNCTION_STACK, "Parameters": stack_parameters(Bucket=bucket, Key=key)}
    with pytest.raises(ClientError, match="No updates are to be performed"):
        cloudformation.update_stack(**same, Capabilities=["CAPABILITY_IAM"])
    cloudformation.create_change_set(
        **same, ChangeSetName="none", ChangeSetType="UPDATE", Capabilities=["CAPABILITY_IAM"]
    )
    described = cloudformation.describe_change_set(StackName=name, ChangeSetName="none")
    assert (described["Status"], described["Changes"]) == ("FAILED", [])
    assert "didn't contain changes" in described["StatusReason"]


def test_removed_resources_are_deleted_before_what_they_refer_to(aws: LocalAws) -> None:
    """IAM refuses to delete a policy that is attached: the role goes first."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    kept = "Resources:\n  Queue: {Type: AWS::SQS::Queue}\n"
    body = kept + "".join(
        f"""
  Policy{number}:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Action: "sqs:SendMessage", Resource: "*"}}]
  Role{number}:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns: [!Ref Policy{number}]
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Principal: {{Service: lambda.amazonaws.com}}, Action: "sts:AssumeRole"}}]
"""
        for number in range(5)
    )
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    cloudformation.update_stack(StackName=name, TemplateBody=kept)
    stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_COMPLETE", stack.get("StackStatusReason")
    left = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    assert [each["LogicalResourceId"] for each in left] == ["Queue"]


def test_alias_is_pointed_at_another_key(aws: LocalAws) -> None:
    """And stays one alias."""
    name, cloudformation, kms = unique_name("stack"), aws.client("cloudformation"), aws.client("kms")
    body = """
Resources:
  One: {Type: AWS::KMS::Key, Properties: {KeyPolicy: &policy {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: "kms:*", Resource: "*"}]}}}
  Two: {Type: AWS::KMS::Key, Properties: {KeyPolicy: *policy}}
  Alias: {Type: AWS::KMS::Alias, Properties: {AliasName: !Sub "alias/${AWS::StackName}", TargetKeyId: !Ref One}}
"""  # noqa: E501 - the anchor needs its mapping on one line
    cloudformation.create_stack(StackName=name, TemplateBody=body)
    cloudformation.update_stack(
        StackName=name, TemplateBody=body.replace("TargetKeyId: !Ref One", "TargetKeyId: !Ref Two")
    )
    assert cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    ids = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in resources}
    (alias,) = [each for each in kms.list_aliases()["Aliases"] if each["AliasName"] == f"alias/{name}"]
    assert alias["TargetKeyId"] == ids["Two"]
