"""AssumeRole: who may assume a role, and members that the emulator does not honour."""

from __future__ import annotations

from typing import Any

import pytest
from aws_resources import ROLE, allow, create_role, unique_name
from botocore.exceptions import ClientError
from callers import ACCOUNT, Session
from local_aws.server import LocalAws


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("PolicyArns", [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]),
        ("Tags", [{"Key": "team", "Value": "risk"}]),
        ("SourceIdentity", "someone"),
    ],
)
def test_member_that_would_be_ignored_is_refused(aws: LocalAws, member: str, value: Any) -> None:
    """moto ignores these, and a session that may do more than on AWS hides a missing permission."""
    role = create_role(aws, unique_name("role"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    with pytest.raises(ClientError, match=f"ValidationError.*{member} of AssumeRole is not supported"):
        aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test", **{member: value})


def test_trust_policy_and_callers_policy_decide(aws: LocalAws) -> None:
    """A role that trusts the account leaves it to the caller's policies; one that names the caller's role does not."""
    account = create_role(aws, unique_name("role"), {"AWS": f"arn:aws:iam::{ACCOUNT}:root"})
    plain, allowed = Session(aws), Session(aws, allow("sts:AssumeRole", account))
    named = create_role(aws, unique_name("role"), {"AWS": plain.role})

    def assume(session: Session, role: str) -> Any:
        return session.client("sts").assume_role(RoleArn=role, RoleSessionName="next")["AssumedRoleUser"]["Arn"]

    assert assume(allowed, account).endswith("/next")
    assert assume(plain, named).endswith("/next")
    for session, role in ((plain, account), (allowed, named), (allowed, ROLE)):
        with pytest.raises(ClientError, match="AccessDenied"):
            assume(session, role)
