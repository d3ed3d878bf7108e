"""Who a principal is, and how closely a Principal element names it."""

from __future__ import annotations

from typing import Any

import pytest
from local_aws.iam.principals import ANONYMOUS, CallerKind, Match, caller, principal_element

ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/staff/ana"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service/job"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/job/run-7"
FEDERATED = f"arn:aws:sts::{ACCOUNT}:federated-user/ana"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    ("principal", "action", "kind", "has_policies"),
    [
        (USER, "s3:GetObject", CallerKind.USER, True),
        (ROLE, "s3:GetObject", CallerKind.ROLE, True),
        (SESSION, "s3:GetObject", CallerKind.ROLE_SESSION, True),
        (FEDERATED, "s3:GetObject", CallerKind.FEDERATED_USER, True),
        (ROOT, "s3:GetObject", CallerKind.ROOT, True),
        ("lambda.amazonaws.com", "sts:AssumeRole", CallerKind.SERVICE, False),
        (ANONYMOUS, "s3:GetObject", CallerKind.ANONYMOUS, False),
        (PROVIDER, "sts:AssumeRoleWithWebIdentity", CallerKind.IDENTITY_PROVIDER, False),
        (PROVIDER, "sts:TagSession", CallerKind.IDENTITY_PROVIDER, False),
        ("accounts.google.com", "sts:AssumeRoleWithWebIdentity", CallerKind.IDENTITY_PROVIDER, False),
    ],
)
def test_caller_kind(principal: str, action: str, kind: CallerKind, has_policies: bool) -> None:
    """The kind decides whether identity-based policies apply; a web provider's name is one in the federated actions."""
    found = caller(principal, action)
    assert (found.kind, found.has_policies, found.account) == (kind, has_policies, ACCOUNT if has_policies else "")


@pytest.mark.parametrize("principal", ["arn:aws:sts::111122223333:assumed-role/job", "arn:aws:iam::1:root", "ana"])
def test_caller_refuses_what_makes_no_requests(principal: str) -> None:
    """A role without the name of a session, an account that is none, a bare name."""
    with pytest.raises(ValueError, match=principal):
        caller(principal, "s3:GetObject")


@pytest.mark.parametrize(
    ("element", "who", "expected"),
    [
        ("*", SESSION, Match.DIRECT),
        ({"AWS": "*"}, ANONYMOUS, Match.DIRECT),
        ({"AWS": USER}, USER, Match.DIRECT),
        ({"AWS": USER.replace("ana", "Ana")}, USER, Match.NONE),
        ({"AWS": SESSION}, SESSION, Match.DIRECT),
        ({"AWS": [ROLE, SESSION]}, SESSION, Match.DIRECT),
        ({"AWS": SESSION}, SESSION.replace("run-7", "run-8"), Match.NONE),
        ({"AWS": ROLE}, SESSION, Match.ENTITY),
        ({"AWS": ROLE.replace("/service", "")}, SESSION, Match.ENTITY),
        ({"AWS": ROLE.replace(ACCOUNT, "444455556666")}, SESSION, Match.NONE),
        ({"AWS": ROLE}, ROLE, Match.ENTITY),
        ({"AWS": FEDERATED}, FEDERATED, Match.DIRECT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/ana"}, FEDERATED, Match.ENTITY),
        ({"AWS": ACCOUNT}, USER, Match.ACCOUNT),
        ({"AWS": [ROOT]}, SESSION, Match.ACCOUNT),
        ({"AWS": ROOT}, ROOT, Match.DIRECT),
        ({"AWS": ACCOUNT}, "lambda.amazonaws.com", Match.NONE),
        ({"Service": ["lambda.amazonaws.com"]}, "lambda.amazonaws.com", Match.DIRECT),
        ({"Service": "lambda.amazonaws.com"}, "events.amazonaws.com", Match.NONE),
        ({"Service": "lambda.amazonaws.com"}, USER, Match.NONE),
    ],
)
def test_principal_element_matches(element: Any, who: str, expected: Match) -> None:
    """The account, the role or user of a session, or the caller itself; services and accounts are apart."""
    assert principal_element(element).match(caller(who)) is expected


def test_principal_element_matches_identity_providers() -> None:
    """Federated names providers, AWS does not."""
    provider = caller(PROVIDER, "sts:AssumeRoleWithWebIdentity")
    assert principal_element({"Federated": [PROVIDER]}).match(provider) is Match.DIRECT
    assert principal_element({"Federated": PROVIDER.replace("token", "other")}).match(provider) is Match.NONE
    assert principal_element({"AWS": ACCOUNT}).match(provider) is Match.NONE
