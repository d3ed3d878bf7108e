"""Policies of stacks: managed ones with versions and attachments, and those of buckets, queues and topics."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name
from botocore.exceptions import ClientError
from callers import Session
from cloudformation_stacks import stack_status
from local_aws.server import LocalAws


def document(action: str) -> str:
    """A policy that allows the action, as YAML in one line."""
    return f'{{Version: "2012-10-17", Statement: [{{Effect: Allow, Action: "{action}", Resource: "*"}}]}}'


def resource_policy(action: str, resource: str) -> str:
    """A policy that lets EventBridge do it to the resource."""
    statement = (
        f"{{Effect: Allow, Principal: {{Service: events.amazonaws.com}}, Action: {action}, Resource: {resource}}}"
    )
    return f'{{Version: "2012-10-17", Statement: [{statement}]}}'


def managed(action: str, roles: list[str]) -> str:
    """A template of one managed policy for these roles."""
    return (
        f"Resources: {{P: {{Type: AWS::IAM::ManagedPolicy, Properties: {{PolicyDocument: {document(action)}, "
        f"Roles: [{', '.join(roles)}]}}}}}}"
    )


def messaging(*, queues: str, topics: str) -> str:
    """A template of two queues and two topics, and a policy for those that the lists name."""
    return f"""
Resources:
  QueueA: {{Type: AWS::SQS::Queue, DeletionPolicy: Retain}}
  QueueB: {{Type: AWS::SQS::Queue}}
  TopicA: {{Type: AWS::SNS::Topic, DeletionPolicy: Retain}}
  TopicB: {{Type: AWS::SNS::Topic}}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties: {{Queues: {queues}, PolicyDocument: {resource_policy("sqs:SendMessage", "!GetAtt QueueA.Arn")}}}
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties: {{Topics: {topics}, PolicyDocument: {resource_policy("sns:Publish", "!Ref TopicA")}}}
"""


def create_stack(aws: LocalAws, body: str) -> str:
    """A new stack; its name."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack_status(aws, name) == "CREATE_COMPLETE"
    return name


def update_stack(aws: LocalAws, name: str, body: str) -> None:
    """Updates the stack."""
    aws.client("cloudformation").update_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    assert stack_status(aws, name) == "UPDATE_COMPLETE"


def physical(aws: LocalAws, name: str) -> dict[str, str]:
    """The physical id of each resource by its logical id."""
    resources = aws.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
    return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}


def attached(aws: LocalAws, role: str) -> list[str]:
    """The managed policies of the role."""
    found = aws.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [item["PolicyArn"] for item in found]


def queue_policy(aws: LocalAws, url: str) -> Any:
    """The queue's policy; None if it has none."""
    attributes = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return json.loads(attributes["Policy"]) if "Policy" in attributes else None


def topic_policy(aws: LocalAws, arn: str) -> Any:
    """The topic's policy."""
    return json.loads(aws.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])


@pytest.fixture
def role(aws: LocalAws) -> str:
    """A new role."""
    name = unique_name("role")
    create_role(aws, name, "lambda.amazonaws.com", allow("s3:ListAllMyBuckets"))
    return name


def test_managed_policy_keeps_its_arn_and_gets_a_version(aws: LocalAws, role: str) -> None:
    """A changed document becomes the default version; the oldest of more than five versions goes."""
    name = create_stack(aws, managed("s3:A0", [role]))
    arn = physical(aws, name)["P"]
    for number in range(1, 7):
        update_stack(aws, name, managed(f"s3:A{number}", [role]))
    iam = aws.client("iam")
    assert physical(aws, name)["P"] == arn
    assert attached(aws, role) == [arn]
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 5
    found = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]["Document"]
    assert found["Statement"][0]["Action"] == "s3:A6"


def test_managed_policy_is_detached_from_a_role_that_is_no_longer_listed(aws: LocalAws, role: str) -> None:
    """A role to which somebody else attached the policy keeps it."""
    other = unique_name("role")
    create_role(aws, other, "lambda.amazonaws.com", allow("s3:ListAllMyBuckets"))
    name = create_stack(aws, managed("s3:A", [role]))
    arn = physical(aws, name)["P"]
    aws.client("iam").attach_role_policy(RoleName=other, PolicyArn=arn)
    update_stack(aws, name, managed("s3:A", []))
    assert attached(aws, role) == []
    assert attached(aws, other) == [arn]


@pytest.mark.parametrize("use", ["attachment", "boundary"])
def test_managed_policy_in_use_is_not_deleted(aws: LocalAws, role: str, use: str) -> None:
    """A role outside of the stack has it: DELETE_FAILED in IAM's words. Without that use, the deletion goes on."""
    iam, cloudformation = aws.client("iam"), aws.client("cloudformation")
    name = create_stack(aws, managed("s3:A", []))
    arn = physical(aws, name)["P"]
    if use == "boundary":
        iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=arn)
    else:
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    cloudformation.delete_stack(StackName=name)
    assert stack_status(aws, name) == "DELETE_FAILED"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    assert "Cannot delete a policy attached to entities." in [item.get("ResourceStatusReason") for item in events]
    if use == "boundary":
        iam.delete_role_permissions_boundary(RoleName=role)
    else:
        iam.detach_role_policy(RoleName=role, PolicyArn=arn)
    cloudformation.delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        stack_status(aws, name)
    with pytest.raises(ClientError, match="not found"):
        iam.get_policy(PolicyArn=arn)


def test_managed_policy_of_an_existing_name_is_refused(aws: LocalAws) -> None:
    """As any other resource with a fixed name."""
    name = unique_name("policy")
    body = (
        f"Resources: {{P: {{Type: AWS::IAM::ManagedPolicy, Properties: {{ManagedPolicyName: {name}, "
        f"PolicyDocument: {document('s3:A')}}}}}}}"
    )
    create_stack(aws, body)
    second, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=second, TemplateBody=body, Capabilities=["CAPABILITY_NAMED_IAM"])
    assert stack_status(aws, second) == "ROLLBACK_COMPLETE"


def test_queue_and_topic_have_the_policy_of_the_template(aws: LocalAws) -> None:
    """Each that is listed; one that is listed no longer loses it, and a retained one loses it with the stack."""
    name = create_stack(aws, messaging(queues="[!Ref QueueA, !Ref QueueB]", topics="[!Ref TopicA, !Ref TopicB]"))
    ids = physical(aws, name)
    for found in (queue_policy(aws, ids["QueueA"]), queue_policy(aws, ids["QueueB"])):
        assert found["Statement"][0]["Action"] == "sqs:SendMessage"
    for topic in ("TopicA", "TopicB"):
        assert topic_policy(aws, ids[topic])["Statement"][0]["Action"] == "sns:Publish"
    update_stack(aws, name, messaging(queues="[!Ref QueueA]", topics="[!Ref TopicA]"))
    assert queue_policy(aws, ids["QueueA"]) is not None
    assert queue_policy(aws, ids["QueueB"]) is None
    assert topic_policy(aws, ids["TopicB"])["Id"] == "__default_policy_ID"
    aws.client("cloudformation").delete_stack(StackName=name)
    assert queue_policy(aws, ids["QueueA"]) is None
    assert topic_policy(aws, ids["TopicA"])["Id"] == "__default_policy_ID"
    with pytest.raises(ClientError, match="does not exist"):
        queue_policy(aws, ids["QueueB"])


def test_policy_of_a_queue_that_does_not_exist_fails(aws: LocalAws) -> None:
    """SQS has nowhere to store it."""
    policy = resource_policy("sqs:SendMessage", "arn:aws:sqs:us-east-1:123456789012:none")
    properties = f"{{Queues: ['http://sqs/123456789012/none'], PolicyDocument: {policy}}}"
    body = f"Resources: {{P: {{Type: AWS::SQS::QueuePolicy, Properties: {properties}}}}}"
    name = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=body)
    assert stack_status(aws, name) == "ROLLBACK_COMPLETE"


def test_queue_keeps_its_policy_when_another_attribute_is_set(aws: LocalAws) -> None:
    """SetQueueAttributes changes the attributes that it names; an empty Policy removes the policy."""
    name = create_stack(aws, messaging(queues="[!Ref QueueA]", topics="[]"))
    url, sqs = physical(aws, name)["QueueA"], aws.client("sqs")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "7"})
    assert queue_policy(aws, url) is not None
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    assert queue_policy(aws, url) is None


def test_policies_of_queue_and_topic_are_enforced(aws: LocalAws) -> None:
    """A caller without policies of its own may do what they name, and nothing else."""
    caller = Session(aws)
    names = f"{{AWS: '{caller.role}'}}"
    body = messaging(queues="[!Ref QueueA]", topics="[!Ref TopicA]").replace("{Service: events.amazonaws.com}", names)
    ids = physical(aws, create_stack(aws, body))
    caller.client("sqs").send_message(QueueUrl=ids["QueueA"], MessageBody="m")
    caller.client("sns").publish(TopicArn=ids["TopicA"], Message="m")
    with pytest.raises(ClientError, match="sqs:PurgeQueue"):
        caller.client("sqs").purge_queue(QueueUrl=ids["QueueA"])
    with pytest.raises(ClientError, match="sqs:SendMessage"):
        caller.client("sqs").send_message(QueueUrl=ids["QueueB"], MessageBody="m")
