"""Deletion of both stacks on the AWS emulator: nothing is left of any resource type but what a policy retains."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from local_aws.server import LocalAws

from ml.aws.cloudformation import workflow_roles
from ml.commands.bootstrap import bootstrap
from tests.harness.git import checkout as checkouts
from tests.harness.platform.stacks import physical

TEMPLATES = ("platform.yaml", "github-oidc.yaml")
SETTINGS = ("Encryption=customer-key", "EndpointLogGroup=create", "JobLogGroups=create")
PARENTS = ("AWS::IAM::Role", "AWS::Lambda::Function", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic")
"""Types whose resources have resources of other types attached to them."""
ATTACHED = (
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
)
Inventory = Mapping[str, set[str]]


def _queue_policies(sqs: Any) -> Iterator[str]:
    for url in sqs.list_queues().get("QueueUrls", []):
        if "Policy" in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]:
            yield url


def _topic_policies(sns: Any) -> Iterator[str]:
    for topic in sns.list_topics()["Topics"]:
        policy = json.loads(sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["Policy"])
        if policy.get("Id") != "__default_policy_ID":
            yield topic["TopicArn"]


def _bucket_policies(s3: Any) -> Iterator[str]:
    for bucket in s3.list_buckets()["Buckets"]:
        try:
            s3.get_bucket_policy(Bucket=bucket["Name"])
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "NoSuchBucketPolicy"
        else:
            yield bucket["Name"]


def _inline_policies(iam: Any) -> Iterator[str]:
    for role in iam.list_roles()["Roles"]:
        for name in iam.list_role_policies(RoleName=role["RoleName"])["PolicyNames"]:
            if name in ("use-key", "pass-itself-to-jobs"):  # the others belong to the role itself
                yield f"{role['RoleName']}/{name}"


def _permissions(functions: Any) -> Iterator[str]:
    for function in functions.list_functions()["Functions"]:
        try:
            document = json.loads(functions.get_policy(FunctionName=function["FunctionName"])["Policy"])
        except functions.exceptions.ResourceNotFoundException:
            continue
        yield from (statement["Sid"] for statement in document["Statement"])


def _invoke_configs(functions: Any) -> Iterator[str]:
    for function in functions.list_functions()["Functions"]:
        listed = functions.list_function_event_invoke_configs(FunctionName=function["FunctionName"])
        yield from (item["FunctionArn"] for item in listed["FunctionEventInvokeConfigs"])


def _keys(kms: Any) -> Iterator[str]:
    for key in kms.list_keys()["Keys"]:
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield key["KeyId"]


FINDERS: Mapping[str, tuple[str, Callable[[Any], Iterable[str]]]] = {
    "AWS::CloudWatch::Alarm": (
        "cloudwatch",
        lambda c: [item["AlarmName"] for item in c.describe_alarms()["MetricAlarms"]],
    ),
    "AWS::CloudWatch::Dashboard": (
        "cloudwatch",
        lambda c: [item["DashboardName"] for item in c.list_dashboards()["DashboardEntries"]],
    ),
    "AWS::Events::Rule": ("events", lambda c: [item["Name"] for item in c.list_rules()["Rules"]]),
    "AWS::IAM::ManagedPolicy": ("iam", lambda c: [item["Arn"] for item in c.list_policies(Scope="Local")["Policies"]]),
    "AWS::IAM::OIDCProvider": (
        "iam",
        lambda c: [item["Arn"] for item in c.list_open_id_connect_providers()["OpenIDConnectProviderList"]],
    ),
    "AWS::IAM::Policy": ("iam", _inline_policies),
    "AWS::IAM::Role": ("iam", lambda c: [item["RoleName"] for item in c.list_roles()["Roles"]]),
    "AWS::KMS::Alias": (
        "kms",
        lambda c: [
            item["AliasName"] for item in c.list_aliases()["Aliases"] if not item["AliasName"].startswith("alias/aws/")
        ],
    ),
    "AWS::KMS::Key": ("kms", _keys),
    "AWS::Lambda::EventInvokeConfig": ("lambda", _invoke_configs),
    "AWS::Lambda::Function": (
        "lambda",
        lambda c: [item["FunctionName"] for item in c.list_functions()["Functions"]],
    ),
    "AWS::Lambda::Permission": ("lambda", _permissions),
    "AWS::Logs::LogGroup": ("logs", lambda c: [item["logGroupName"] for item in c.describe_log_groups()["logGroups"]]),
    "AWS::S3::Bucket": ("s3", lambda c: [item["Name"] for item in c.list_buckets()["Buckets"]]),
    "AWS::S3::BucketPolicy": ("s3", _bucket_policies),
    "AWS::SNS::Subscription": (
        "sns",
        lambda c: [item["SubscriptionArn"] for item in c.list_subscriptions()["Subscriptions"]],
    ),
    "AWS::SNS::Topic": ("sns", lambda c: [item["TopicArn"] for item in c.list_topics()["Topics"]]),
    "AWS::SNS::TopicPolicy": ("sns", _topic_policies),
    "AWS::SQS::Queue": ("sqs", lambda c: c.list_queues().get("QueueUrls", [])),
    "AWS::SQS::QueuePolicy": ("sqs", _queue_policies),
    "AWS::SageMaker::ModelPackageGroup": (
        "sagemaker",
        lambda c: [
            item["ModelPackageGroupName"] for item in c.list_model_package_groups()["ModelPackageGroupSummaryList"]
        ],
    ),
}
"""By type: the service, and the resources of the type that its API lists."""


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An emulator whose account is empty, with its environment."""
    with LocalAws(tmp_path / "cloud") as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("FRAUDOPS_STACK", "gone")
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """infra/ and the shipped model-config/, to be edited."""
    return checkouts.copy(tmp_path, "infra")


def set_policies(checkout: Path, retained: tuple[str, ...]) -> None:
    """Gives the resources of these types the policy Retain, and every other resource none."""
    for name in TEMPLATES:
        file = checkout / "infra" / name
        text = re.sub(r"^    DeletionPolicy:.*\n", "", file.read_text(), flags=re.MULTILINE)
        file.write_text(
            re.sub(
                r"^    Type: (\S+)\n",
                lambda found: found[0] + ("    DeletionPolicy: Retain\n" if found[1] in retained else ""),
                text,
                flags=re.MULTILINE,
            )
        )


def inventory(aws: LocalAws) -> Inventory:
    """What the account has of each type, without the bucket of the function's code, which no stack owns."""
    return {
        kind: {each for each in find(aws.client(service)) if "gone-code-" not in each}
        for kind, (service, find) in FINDERS.items()
    }


def create(aws: LocalAws, checkout: Path) -> Inventory:
    """Creates both stacks with every resource of their templates; what the account then has."""
    made = bootstrap(checkout, repository="acme/fraud", notify="ops@example.com", settings_given=SETTINGS)
    assert made.identity == "created"
    for stack in ("gone", workflow_roles.stack_name()):
        assert set(physical(aws, stack)) == set(logical_names(checkout, stack))
    return inventory(aws)


def logical_names(checkout: Path, stack: str) -> list[str]:
    """The resources of the stack's template."""
    text = (checkout / "infra" / TEMPLATES[stack != "gone"]).read_text()
    body = text.split("\nResources:\n", 1)[1].split("\nOutputs:\n", 1)[0]
    return re.findall(r"^  (\w+):", body, re.MULTILINE)


def empty_buckets(aws: LocalAws, buckets: Iterable[str]) -> None:
    """Deletes the access logs that the requests of this test have caused; a stack deletes no bucket with objects."""
    s3 = aws.client("s3")
    for bucket in buckets:
        for item in s3.list_object_versions(Bucket=bucket).get("Versions", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


def delete(aws: LocalAws) -> None:
    """Deletes both stacks."""
    cloudformation = aws.client("cloudformation")
    for stack in ("gone", workflow_roles.stack_name()):
        identifier = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
        cloudformation.delete_stack(StackName=stack)
        assert cloudformation.describe_stacks(StackName=identifier)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"


def statuses(aws: LocalAws, identifier: str) -> set[str]:
    """The statuses that ListStackResources returns."""
    listed = aws.client("cloudformation").list_stack_resources(StackName=identifier)["StackResourceSummaries"]
    return {item["ResourceStatus"] for item in listed}


def test_every_type_of_the_templates_is_looked_for(repository_root: Path) -> None:
    """And no other; so that a new type of a template needs an entry here."""
    texts = [(repository_root / "infra" / name).read_text() for name in TEMPLATES]
    assert set(FINDERS) == {kind for text in texts for kind in re.findall(r"^    Type: (AWS::\S+)", text, re.MULTILINE)}


def test_deleted_stacks_leave_nothing(aws: LocalAws, checkout: Path) -> None:
    """Each type has resources before the deletion and none after it, also once the deleted stacks were described."""
    set_policies(checkout, ())
    assert not any(inventory(aws).values())
    created = create(aws, checkout)
    assert not [kind for kind, found in created.items() if not found]
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    empty_buckets(aws, sorted(created["AWS::S3::Bucket"]))  # first the lake, whose requests are logged in the other
    delete(aws)
    assert {kind: found for kind, found in inventory(aws).items() if found} == {}
    for stack in stacks:
        aws.client("cloudformation").describe_stacks(StackName=stack["StackId"])
        assert statuses(aws, stack["StackId"]) == {"DELETE_COMPLETE"}
    assert {kind: found for kind, found in inventory(aws).items() if found} == {}


def test_deletion_detaches_policies_from_what_it_retains(aws: LocalAws, checkout: Path) -> None:
    """Roles, function, buckets, queue and topic stay, without the policies and settings that the stack gave them."""
    set_policies(checkout, PARENTS)
    created = create(aws, checkout)
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    for stack in ("gone", workflow_roles.stack_name()):
        aws.client("cloudformation").delete_stack(StackName=stack)
    left = inventory(aws)
    assert {kind: left[kind] for kind in PARENTS} == {kind: created[kind] for kind in PARENTS}
    assert {kind: left[kind] for kind in ATTACHED} == {kind: set() for kind in ATTACHED}
    # The retained roles have these policies: AWS refuses to delete what is attached. A policy that names its roles is
    # detached from them first.
    described = {
        item["StackName"]: item["StackStatus"] for item in aws.client("cloudformation").describe_stacks()["Stacks"]
    }
    assert described == dict.fromkeys(("gone", workflow_roles.stack_name()), "DELETE_FAILED")
    assert left["AWS::IAM::ManagedPolicy"] == created["AWS::IAM::ManagedPolicy"] - {
        arn
        for arn in created["AWS::IAM::ManagedPolicy"]
        if any(name in arn for name in ("InfraKeyPolicy", "DriftComparesAccount"))
    }
    assert statuses(aws, stacks[0]["StackId"]) == {"DELETE_COMPLETE", "DELETE_SKIPPED", "DELETE_FAILED"}


def test_deletion_keeps_what_the_templates_retain(aws: LocalAws, checkout: Path) -> None:
    """Data, logs, key and identity provider outlive the stacks as the repository's templates are."""
    created = create(aws, checkout)
    delete(aws)
    kept = ("AWS::KMS::Key", "AWS::S3::Bucket", "AWS::Logs::LogGroup", "AWS::SageMaker::ModelPackageGroup")
    expected = {kind: created[kind] for kind in (*kept, "AWS::IAM::OIDCProvider")}
    assert {kind: found for kind, found in inventory(aws).items() if found} == expected
