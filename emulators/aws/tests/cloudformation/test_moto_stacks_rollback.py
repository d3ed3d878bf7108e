"""Stacks whose creation, update or deletion fails: what is rolled back, what is retained, and what may follow."""

from __future__ import annotations

from typing import Any

import pytest
from aws_resources import unique_name
from botocore.exceptions import ClientError
from cloudformation_stacks import (
    FUNCTION_STACK,
    invoke_function,
    stack_outputs,
    stack_parameters,
    stack_status,
    upload_code,
)
from local_aws.server import LocalAws

POLICIES = ("Delete", "Retain", "RetainExceptOnCreate")


def template(policy: str, name: str, *, broken: bool) -> str:
    """A log group with that deletion policy, and a resource that fails if `broken`."""
    failing = """
  Broken:
    Type: AWS::Lambda::Function
    DependsOn: Group
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: arn:aws:iam::123456789012:role/none
      Code: {S3Bucket: no-such-bucket, S3Key: none.zip}
"""
    return f"""
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: {policy}
    Properties: {{LogGroupName: {name}}}
{failing if broken else ""}"""


def reasons(aws: LocalAws, name: str) -> str:
    """The reasons of the stack's events, newest first."""
    events = aws.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return "\n".join(event.get("ResourceStatusReason") or "" for event in events)


def group_exists(aws: LocalAws, name: str) -> bool:
    """Whether the log group exists."""
    found: list[Any] = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return bool(found)


def test_failed_creation_is_rolled_back(aws: LocalAws) -> None:
    """If the code is missing: ROLLBACK_COMPLETE, an event that names the function, and no resource."""
    cloudformation, name = aws.client("cloudformation"), unique_name("stack")
    bucket, _ = upload_code(aws, "first")
    cloudformation.create_stack(
        StackName=name, TemplateBody=FUNCTION_STACK, Parameters=stack_parameters(Bucket=bucket, Key="nowhere.zip"),
        Capabilities=["CAPABILITY_IAM"],
    )  # fmt: skip
    assert stack_status(aws, name) == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failure = next(event for event in events if event["ResourceStatus"] == "CREATE_FAILED")
    assert failure["LogicalResourceId"] == "Function"
    assert "nowhere.zip" in failure["ResourceStatusReason"]
    groups = aws.client("sagemaker").list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    assert groups == []


def test_failed_update_is_rolled_back(aws: LocalAws, stack: tuple[str, str, str]) -> None:
    """The stack is unchanged, has the rollback's status, and can be updated again."""
    name, bucket, key = stack
    cloudformation = aws.client("cloudformation")
    update = {"StackName": name, "TemplateBody": FUNCTION_STACK, "Capabilities": ["CAPABILITY_IAM"]}
    cloudformation.update_stack(**update, Parameters=stack_parameters(Bucket=bucket, Key="nowhere.zip", Greeting="bye"))
    assert stack_status(aws, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert invoke_function(aws, name) == ["hello!", "first"]
    assert stack_outputs(aws, name)["Greeting"].startswith("hello")
    cloudformation.update_stack(**update, Parameters=stack_parameters(Bucket=bucket, Key=key, Greeting="bye"))
    assert invoke_function(aws, name) == ["bye!", "first"]


@pytest.mark.parametrize("policy", POLICIES)
def test_rolled_back_creation_keeps_only_what_is_retained(aws: LocalAws, policy: str) -> None:
    """Retain keeps the resource even then; RetainExceptOnCreate does not."""
    name = unique_name("stack")
    aws.client("cloudformation").create_stack(StackName=name, TemplateBody=template(policy, name, broken=True))
    assert stack_status(aws, name) == "ROLLBACK_COMPLETE"
    assert group_exists(aws, name) == (policy == "Retain")


@pytest.mark.parametrize("policy", POLICIES)
def test_deleted_stack_keeps_what_is_retained(aws: LocalAws, policy: str) -> None:
    """Both policies keep a resource whose creation succeeded."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=template(policy, name, broken=False))
    cloudformation.delete_stack(StackName=name)
    assert group_exists(aws, name) == (policy != "Delete")


@pytest.mark.parametrize("policy", POLICIES)
def test_rolled_back_update_deletes_what_it_created(aws: LocalAws, policy: str) -> None:
    """A resource that the failed update added goes, unless its policy is Retain."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    empty = "Resources:\n  Topic: {Type: AWS::SNS::Topic}\n"
    cloudformation.create_stack(StackName=name, TemplateBody=empty)
    added = template(policy, name, broken=True) + "  Topic: {Type: AWS::SNS::Topic}\n"
    cloudformation.update_stack(StackName=name, TemplateBody=added)
    assert stack_status(aws, name) == "UPDATE_ROLLBACK_COMPLETE"
    assert group_exists(aws, name) == (policy == "Retain")


def test_retained_name_already_exists_in_the_next_stack(aws: LocalAws) -> None:
    """The second try fails with AWS's reason, and the retained resource is not taken over."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=template("Retain", name, broken=True))
    cloudformation.delete_stack(StackName=name)
    cloudformation.create_stack(StackName=name, TemplateBody=template("Retain", name, broken=False))
    assert stack_status(aws, name) == "ROLLBACK_COMPLETE"
    assert f'with identifier \'{{"/properties/LogGroupName":"{name}"}}\' already exists.' in reasons(aws, name)
    assert group_exists(aws, name)


def test_rolled_back_stack_takes_no_update_and_no_change_set(aws: LocalAws) -> None:
    """It must be deleted first; then the name is free."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=template("Delete", name, broken=True))
    good = template("Delete", name, broken=False)
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cloudformation.update_stack(StackName=name, TemplateBody=good)
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        cloudformation.create_change_set(StackName=name, TemplateBody=good, ChangeSetName="c", ChangeSetType="UPDATE")
    with pytest.raises(ClientError, match="already exists"):
        cloudformation.create_stack(StackName=name, TemplateBody=good)
    cloudformation.delete_stack(StackName=name)
    cloudformation.create_stack(StackName=name, TemplateBody=good)
    assert stack_status(aws, name) == "CREATE_COMPLETE"


def test_stack_whose_bucket_is_not_empty_is_not_deleted(aws: LocalAws) -> None:
    """The call succeeds and the stack is DELETE_FAILED, with the resource in its events; later it can be deleted."""
    name, cloudformation, s3 = unique_name("stack"), aws.client("cloudformation"), aws.client("s3")
    body = f"Resources:\n  Bucket: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}\n"
    cloudformation.create_stack(StackName=name, TemplateBody=body)
    s3.put_object(Bucket=name, Key="a", Body=b"1")
    cloudformation.delete_stack(StackName=name)
    assert stack_status(aws, name) == "DELETE_FAILED"
    assert "The following resource(s) failed to delete: [Bucket]." in reasons(aws, name)
    with pytest.raises(ClientError, match="is in DELETE_FAILED state and can not be updated"):
        cloudformation.update_stack(StackName=name, TemplateBody=body + "  T: {Type: AWS::SNS::Topic}\n")
    s3.delete_object(Bucket=name, Key="a")
    cloudformation.delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        stack_status(aws, name)


def test_failed_deletion_keeps_records_and_recreates_nothing(aws: LocalAws) -> None:
    """Descriptions of the stack show what was deleted and what failed, with outputs; the rerun has only the rest."""
    name, cloudformation, s3 = unique_name("stack"), aws.client("cloudformation"), aws.client("s3")
    body = (
        f"Resources:\n  Bucket: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}\n"
        f"  Group: {{Type: AWS::Logs::LogGroup, Properties: {{LogGroupName: {name}}}}}\n"
        "  Kept: {Type: AWS::SNS::Topic, DeletionPolicy: Retain}\n"
        "Outputs:\n  Group: {Value: !GetAtt Group.Arn}\n"
    )
    cloudformation.create_stack(StackName=name, TemplateBody=body)
    s3.put_object(Bucket=name, Key="a", Body=b"1")

    def described() -> tuple[Any, dict[str, str]]:
        """The outputs, and the status of each resource."""
        listed = cloudformation.list_stack_resources(StackName=identifier)["StackResourceSummaries"]
        found = cloudformation.describe_stack_resources(StackName=identifier)["StackResources"]
        statuses = {item["LogicalResourceId"]: item["ResourceStatus"] for item in listed}
        assert statuses == {item["LogicalResourceId"]: item["ResourceStatus"] for item in found}
        return cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]["Outputs"], statuses

    identifier = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    outputs, created = described()
    assert set(created.values()) == {"CREATE_COMPLETE"}
    cloudformation.delete_stack(StackName=name)
    partly = {"Bucket": "DELETE_FAILED", "Group": "DELETE_COMPLETE", "Kept": "DELETE_SKIPPED"}
    assert described() == (outputs, partly)
    assert not group_exists(aws, name)
    s3.delete_object(Bucket=name, Key="a")
    cloudformation.delete_stack(StackName=name)
    assert described() == (outputs, {**partly, "Bucket": "DELETE_COMPLETE"})
    assert not group_exists(aws, name)


def test_reserved_concurrency_of_a_stack_is_held_to_the_quota(aws: LocalAws) -> None:
    """A new account's quota of 10 leaves nothing to reserve: the stack is rolled back, in AWS's words."""
    name, cloudformation = unique_name("stack"), aws.client("cloudformation")
    body = """
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: sts:AssumeRole}]
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: !GetAtt Role.Arn
      ReservedConcurrentExecutions: 1
      Code: {ZipFile: "def handler(event, context): pass"}
"""
    cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    assert stack_status(aws, name) == "ROLLBACK_COMPLETE"
    assert (
        "Resource handler returned message: \"Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [10]. (Service: Lambda, Status Code: 400, "
    ) in reasons(aws, name)
    cloudformation.delete_stack(StackName=name)
    aws.quotas.set({"lambda_concurrent_executions": 101})
    try:
        cloudformation.create_stack(StackName=name, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
        assert stack_status(aws, name) == "CREATE_COMPLETE"
        limits = aws.client("lambda").get_account_settings()["AccountLimit"]
        assert (limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]) == (101, 100)
    finally:
        aws.quotas.reset()
