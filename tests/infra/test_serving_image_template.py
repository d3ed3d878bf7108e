"""The optional template of the serving image's repository and role, infra/serving-image.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]  # it has no stubs

from ml.aws.session import client
from ml.commands.serving_image import REPOSITORY
from tests.harness.aws import moto_server

TEMPLATE = Path(__file__).resolve().parents[2] / "infra/serving-image.yaml"
RESOURCES: dict[str, Any] = cfn_yaml.load(str(TEMPLATE))["Resources"]


def test_role_may_push_to_its_repository_only() -> None:
    """No action of another service, no deletion, and one wildcard: the login has no resource."""
    (policy,) = RESOURCES["ImageRole"]["Properties"]["Policies"]
    for statement in policy["PolicyDocument"]["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        assert all(action.startswith("ecr:") and "Delete" not in action for action in actions)
        if statement["Resource"] == "*":
            assert actions == ["ecr:GetAuthorizationToken"]
        else:
            assert statement["Resource"] == {"Fn::GetAtt": ["Images", "Arn"]}


def test_role_trusts_an_environment_of_its_own() -> None:
    """No other job on main; without environments no pull request and no other branch. The audience is that of AWS."""
    (statement,) = RESOURCES["ImageRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {
                "Fn::If": [
                    "UsesEnvironments",
                    {"Fn::Sub": "repo:${Repository}:environment:serving-image"},
                    {"Fn::Sub": "repo:${Repository}:ref:refs/heads/main"},
                ]
            },
        }
    }


def test_tags_cannot_be_moved_and_the_endpoint_may_pull() -> None:
    """The repository stays when the stack is deleted: an endpoint pulls its image again for each new instance."""
    images = RESOURCES["Images"]
    assert images["DeletionPolicy"] == "Retain"
    assert images["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    (statement,) = images["Properties"]["RepositoryPolicyText"]["Statement"]
    assert statement["Principal"] == {"AWS": {"Ref": "EndpointRoleArn"}}
    assert all(action.startswith(("ecr:Batch", "ecr:GetDownload")) for action in statement["Action"])


def test_stack_has_the_repository_of_the_verb(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`fraudops serving-image` pushes to the repository that the stack creates."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    given = {
        "Repository": "acme/fraud",
        "ProviderArn": "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com",
        "EndpointRoleArn": "arn:aws:iam::123456789012:role/endpoint",
    }
    client("cloudformation").create_stack(
        StackName="serving-image",
        TemplateBody=TEMPLATE.read_text("utf-8"),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
    )
    (stack,) = client("cloudformation").describe_stacks(StackName="serving-image")["Stacks"]
    outputs = {item["OutputKey"]: item["OutputValue"] for item in stack["Outputs"]}
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert outputs["RepositoryUri"].endswith(f"/{REPOSITORY}")
    assert ":role/github/" in outputs["ImageRoleArn"]
