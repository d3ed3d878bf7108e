"""SimulatePrincipalPolicy and SimulateCustomPolicy say what real calls would meet."""

from __future__ import annotations

from typing import Any

import pytest
from aws_resources import allow, create_role, unique_name
from botocore.exceptions import ClientError
from callers import SAGEMAKER, document
from local_aws.server import LocalAws


def outcomes(answer: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Action, resource and decision of each result."""
    return [(r["EvalActionName"], r["EvalResourceName"], r["EvalDecision"]) for r in answer["EvaluationResults"]]


def test_roles_policies_decide_each_action_on_each_resource(aws: LocalAws) -> None:
    """Allowed by a statement, denied by one, and denied by none; the result names the policy."""
    locked = {**allow("s3:*", "arn:aws:s3:::b/locked"), "Effect": "Deny"}
    role = create_role(aws, unique_name("role"), SAGEMAKER, allow("s3:GetObject", "arn:aws:s3:::b/*"), locked)
    answer = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=["arn:aws:s3:::b/a", "arn:aws:s3:::b/locked"],
    )
    assert outcomes(answer) == [
        ("s3:GetObject", "arn:aws:s3:::b/a", "allowed"),
        ("s3:GetObject", "arn:aws:s3:::b/locked", "explicitDeny"),
        ("s3:PutObject", "arn:aws:s3:::b/a", "implicitDeny"),
        ("s3:PutObject", "arn:aws:s3:::b/locked", "explicitDeny"),
    ]
    matched = answer["EvaluationResults"][0]["MatchedStatements"]
    assert [statement["SourcePolicyId"] for statement in matched] == ["permissions"]


def test_context_entries_and_further_policies_count(aws: LocalAws) -> None:
    """A condition holds with the given key; a policy of the request adds to the role's, a boundary limits both."""
    lists = allow("s3:ListBucket", StringLike={"s3:prefix": ["a/*"]})
    role, iam = create_role(aws, unique_name("role"), SAGEMAKER, lists), aws.client("iam")

    def decide(**parameters: Any) -> list[str]:
        actions = ["s3:ListBucket", "s3:GetObject"]
        answer = iam.simulate_principal_policy(PolicySourceArn=role, ActionNames=actions, **parameters)
        return [decision for _, _, decision in outcomes(answer)]

    entry = {"ContextKeyName": "s3:prefix", "ContextKeyValues": ["a/x"], "ContextKeyType": "string"}
    assert decide() == ["implicitDeny", "implicitDeny"]
    assert decide(ContextEntries=[entry]) == ["allowed", "implicitDeny"]
    more = [document(allow("s3:GetObject"))]
    assert decide(ContextEntries=[entry], PolicyInputList=more) == ["allowed", "allowed"]
    boundary = [document(allow("s3:GetObject"))]
    limited = decide(ContextEntries=[entry], PolicyInputList=more, PermissionsBoundaryPolicyInputList=boundary)
    assert limited == ["implicitDeny", "allowed"]


def test_custom_policies_are_simulated_alone(aws: LocalAws) -> None:
    """SimulateCustomPolicy knows the request's policies only."""
    answer = aws.client("iam").simulate_custom_policy(
        PolicyInputList=[document(allow("sagemaker:Describe*"))],
        ActionNames=["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"],
    )
    assert [decision for _, _, decision in outcomes(answer)] == ["allowed", "implicitDeny"]


def test_unknown_principal_is_no_such_entity(aws: LocalAws) -> None:
    """As IAM answers."""
    with pytest.raises(ClientError, match="NoSuchEntity"):
        aws.client("iam").simulate_principal_policy(
            PolicySourceArn="arn:aws:iam::123456789012:role/nobody", ActionNames=["s3:GetObject"]
        )


def test_key_policies_are_left_out_unless_given(aws: LocalAws) -> None:
    """The identity policies decide about a KMS key; a policy of the request that grants nothing takes that away."""
    key = "arn:aws:kms:us-east-1:123456789012:key/x"
    role = create_role(aws, unique_name("role"), SAGEMAKER, allow("kms:Decrypt", key))

    def decide(**parameters: Any) -> list[str]:
        answer = aws.client("iam").simulate_principal_policy(
            PolicySourceArn=role, ActionNames=["kms:Decrypt", "kms:Encrypt"], ResourceArns=[key], **parameters
        )
        return [decision for _, _, decision in outcomes(answer)]

    assert decide() == ["allowed", "implicitDeny"]
    other = {**allow("kms:Decrypt", "*"), "Principal": {"AWS": "arn:aws:iam::999999999999:root"}}
    assert decide(ResourcePolicy=document(other)) == ["implicitDeny", "implicitDeny"]
