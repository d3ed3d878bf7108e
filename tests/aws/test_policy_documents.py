"""Policy documents that say the same are equal; what a role has is read from IAM."""

from __future__ import annotations

import json

import pytest

from ml.aws import policy_documents
from ml.aws.session import client
from tests.harness.aws import moto_server

ALLOW = {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
DENY = {"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}


def test_order_and_lists_of_one_do_not_count() -> None:
    """IAM keeps documents as they were sent; templates write some values as lists and some not."""
    other = ALLOW | {"Action": ["s3:ListBucket", "s3:GetObject"], "Resource": ["*"]}
    denied = DENY | {"Condition": {"Bool": {"aws:SecureTransport": False}}}
    assert policy_documents.equal({"Statement": [ALLOW, DENY]}, {"Statement": [denied, other]})


@pytest.mark.parametrize(
    "change", [{"Action": "s3:GetObject"}, {"Effect": "Deny"}, {"Resource": ["*", "*"]}, {"Sid": ""}]
)
def test_another_value_counts(change: dict[str, object]) -> None:
    """So does a value that is repeated: a document is either the template's or it is not."""
    assert not policy_documents.equal({"Statement": [ALLOW]}, {"Statement": [ALLOW | change]})


def test_role_has_inline_and_managed_policies_and_a_boundary(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket without a policy has None."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    iam, document = client("iam"), {"Version": "2012-10-17", "Statement": [ALLOW]}
    arn = iam.create_policy(PolicyName="own", PolicyDocument=json.dumps(document))["Policy"]["Arn"]
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}", PermissionsBoundary=arn)
    iam.put_role_policy(RoleName="r", PolicyName="inline", PolicyDocument=json.dumps(document))
    iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    found = policy_documents.of_role("r")
    assert (found.inline, found.attached, found.boundary) == ({"inline": document}, frozenset([arn]), arn)
    assert policy_documents.managed(arn) == document
    moto_server.make_bucket("lake")
    assert policy_documents.of_bucket("lake") is None
