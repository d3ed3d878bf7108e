"""The platform template: lint, outputs that the product reads, and permissions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]  # it has no stubs
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]
from deploy_model import documents

from ml import config
from ml.aws import platform_stack
from ml.playground.template_state import FOLDER as SHIPPED

TEMPLATE = Path(__file__).resolve().parents[2] / "infra/platform.yaml"


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    """The template with short-form functions expanded."""
    loaded: dict[str, Any] = json.loads(json.dumps(cfn_yaml.load(str(TEMPLATE))))
    return loaded


def statements(template: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every statement that grants a role something, with the resource that contains it."""
    found = []
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
            documents.append(properties["PolicyDocument"])
        found += [(name, statement) for document in documents for statement in document["Statement"]]
    return found


def as_list(value: Any) -> list[Any]:
    """IAM allows a single value in place of a list."""
    return value if isinstance(value, list) else [value]


def test_template_lints() -> None:
    """cfn-lint has no findings, not even a warning."""
    found = lint(TEMPLATE.read_text(), regions=["us-east-1", "eu-west-1"])
    assert [str(match) for match in found] == []


def test_outputs_are_those_that_the_product_reads(template: dict[str, Any]) -> None:
    """The outputs are exactly those of `ml.aws.platform_stack`."""
    optional = {platform_stack._KEY, platform_stack._COUNTING_ROLE}
    assert set(template["Outputs"]) == {*platform_stack._OUTPUTS.values(), *optional}
    conditional = {name for name, output in template["Outputs"].items() if "Condition" in output}
    assert conditional == {platform_stack._KEY}


def test_template_fits_into_a_request() -> None:
    """CloudFormation accepts at most 51,200 bytes of template in a request."""
    assert TEMPLATE.stat().st_size < 51_200


def test_wildcard_resource_has_a_comment(template: dict[str, Any]) -> None:
    """Every `Resource: "*"` has a comment with the reason, and no action is `*`."""
    lines = TEMPLATE.read_text().splitlines()
    stars = [line for line in lines if re.search(r'Resource: "\*"', line)]
    assert all("#" in line for line in stars), stars
    granted = [(name, action) for name, statement in statements(template) for action in as_list(statement["Action"])]
    assert not [pair for pair in granted if "*" in pair[1]]
    open_ended = [statement["Sid"] for _, statement in statements(template) if "*" in as_list(statement["Resource"])]
    of_keys = [
        statement
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::KMS::Key"
        for statement in resource["Properties"]["KeyPolicy"]["Statement"]
    ]
    assert all(statement["Resource"] == "*" for statement in of_keys)  # in a key's policy: the key itself
    assert len(open_ended) + len(of_keys) == len(stars)


def test_roles_are_passed_to_sagemaker_only(template: dict[str, Any]) -> None:
    """iam:PassRole names one role and one service."""
    passing = [statement for _, statement in statements(template) if "iam:PassRole" in as_list(statement["Action"])]
    assert len(passing) == 2
    for statement in passing:
        assert "Fn::GetAtt" in statement["Resource"]
        assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


def test_no_role_writes_the_order_or_approves(template: dict[str, Any]) -> None:
    """Only DeployRole writes below deploy/, but not desired.json; no role changes a package's status."""
    writers = {
        (name, str(resource))
        for name, statement in statements(template)
        if "s3:PutObject" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
        if "/deploy/" in str(resource)
    }
    assert {name for name, _ in writers} == {"DeployRole"}
    assert not [resource for _, resource in writers if "desired" in resource or "/deploy/*" in resource]
    approving = [name for name, statement in statements(template) if "UpdateModelPackage" in str(statement["Action"])]
    assert approving == []


def test_storage_is_private_and_encrypted(template: dict[str, Any]) -> None:
    """The bucket is retained, versioned, encrypted and private; bucket, queue and topic deny access without TLS."""
    lake = template["Resources"]["Lake"]
    assert (lake["DeletionPolicy"], lake["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    properties = lake["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}
    assert properties["BucketEncryption"]
    for policy in ("LakePolicy", "LakeLogsPolicy", "DeadLettersPolicy", "NotificationTopicPolicy"):
        document = template["Resources"][policy]["Properties"]["PolicyDocument"]
        denied = [entry for entry in document["Statement"] if entry["Effect"] == "Deny"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [entry["Condition"] for entry in denied], policy


def test_function_gets_the_environment_that_it_reads(template: dict[str, Any]) -> None:
    """The template sets the variables of `documents.Environment`, and the handler exists."""
    function = template["Resources"]["DeployFunction"]["Properties"]
    variables = dict.fromkeys(function["Environment"]["Variables"], "x")
    assert documents.Environment.read(variables)
    assert len(variables) == 6
    module, _, attribute = function["Handler"].rpartition(".")
    assert module == "deploy_model.handler"
    assert attribute == "handle"


def test_shipped_endpoint_name_is_valid_for_the_template(template: dict[str, Any]) -> None:
    """The name in the shipped serving/production.yaml matches the parameter's pattern."""
    pattern = template["Parameters"]["EndpointName"]["AllowedPattern"]
    assert re.search(pattern, config.load_serving(SHIPPED).endpoint)


def test_rule_matches_this_group_only(template: dict[str, Any]) -> None:
    """The function receives only approvals of packages in the stack's own group."""
    pattern = template["Resources"]["ApprovedRule"]["Properties"]["EventPattern"]
    assert pattern == {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Model Package State Change"],
        "detail": {
            "ModelPackageGroupName": [{"Fn::Sub": "${AWS::StackName}-model"}],
            "ModelApprovalStatus": ["Approved"],
        },
    }
