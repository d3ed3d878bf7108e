"""Which policy types have to allow a request, which deny wins, and what the decision reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.iam.evaluation_outcome import PolicyType, Reason
from local_aws.iam.principals import ANONYMOUS

USER = "arn:aws:iam::111122223333:user/ana"
ROLE = "arn:aws:iam::111122223333:role/service/job"
SESSION = "arn:aws:sts::111122223333:assumed-role/job/run-7"
FEDERATED = "arn:aws:sts::111122223333:federated-user/ana"
ROOT = "arn:aws:iam::111122223333:root"
OTHER = "arn:aws:iam::444455556666:user/bo"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:jobs"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ALLOW = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
NOTHING = {"Effect": "Allow", "Action": "sqs:DeleteQueue", "Resource": "*"}
DENY = {"Sid": "Never", "Effect": "Deny", "Action": "sqs:*", "Resource": "*"}


def policy(*statements: Mapping[str, Any], name: str = "p", arn: str | None = None) -> NamedPolicy:
    """A policy of the current version."""
    return NamedPolicy(name, {"Version": "2012-10-17", "Statement": list(statements)}, arn)


def grant(principal: Any, action: str = "sqs:SendMessage", **elements: Any) -> dict[str, Any]:
    """An Allow of a resource-based policy."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **elements}


def send(principal: str = SESSION) -> AccessRequest:
    """A SendMessage to the queue."""
    return AccessRequest(principal, "sqs:SendMessage", QUEUE)


def test_evaluate_denies_by_default() -> None:
    """Without a policy the identity-based policies are what is missing."""
    decision = evaluate(send(), Policies())
    assert (decision.allowed, decision.reason, decision.policy_type) == (
        False,
        Reason.IMPLICIT_DENY,
        PolicyType.IDENTITY,
    )
    assert decision.statements == ()


def test_evaluate_names_every_statement_that_allowed() -> None:
    """The report of used statements needs all of them, with policy, index and Sid."""
    policies = Policies(
        identity=[policy(NOTHING, {**ALLOW, "Sid": "Send"}, name="first"), policy(ALLOW, name="second")],
        boundary=policy(ALLOW, name="limit"),
    )
    decision = evaluate(send(), policies)
    assert decision.allowed
    assert [(s.policy_type, s.policy, s.index, s.sid) for s in decision.statements] == [
        (PolicyType.IDENTITY, "first", 1, "Send"),
        (PolicyType.IDENTITY, "second", 0, None),
        (PolicyType.BOUNDARY, "limit", 0, None),
    ]


@pytest.mark.parametrize(
    ("policies", "denied_by"),
    [
        (Policies(identity=[policy(ALLOW, DENY)]), PolicyType.IDENTITY),
        (Policies(identity=[policy(ALLOW)], boundary=policy(ALLOW, DENY)), PolicyType.BOUNDARY),
        (Policies(identity=[policy(ALLOW)], session=[policy(ALLOW, DENY)]), PolicyType.SESSION),
        (Policies(identity=[policy(ALLOW)], service_control=[[policy(ALLOW, DENY)]]), PolicyType.SERVICE_CONTROL),
        (Policies(identity=[policy(ALLOW)], resource=policy({**DENY, "Principal": "*"})), PolicyType.RESOURCE),
    ],
)
def test_evaluate_explicit_deny_wins_in_every_policy_type(policies: Policies, denied_by: PolicyType) -> None:
    """One Deny in any policy decides, and is named."""
    decision = evaluate(send(), policies)
    assert (decision.reason, decision.policy_type) == (Reason.EXPLICIT_DENY, denied_by)
    assert [statement.sid for statement in decision.statements] == ["Never"]


@pytest.mark.parametrize(
    ("caller", "named", "bypasses_limits"),
    [
        (USER, USER, True),
        (SESSION, SESSION, True),
        (SESSION, "*", True),
        (SESSION, ROLE, False),
        (SESSION, "arn:aws:iam::111122223333:role/job", False),
        (FEDERATED, FEDERATED, True),
        (FEDERATED, USER, False),
    ],
)
def test_evaluate_resource_policy_bypasses_implicit_denies_only_if_it_names_the_caller(
    caller: str, named: str, bypasses_limits: bool
) -> None:
    """A resource-based policy suffices within the account; boundary and session policy limit it if it names the role.

    Source: IAM User Guide, "Determining whether a request is allowed or denied within an account".
    """
    resource = policy(grant({"AWS": named}))
    assert evaluate(send(caller), Policies(resource=resource)).allowed
    limited = Policies(resource=resource, boundary=policy(NOTHING))
    assert evaluate(send(caller), limited).allowed is bypasses_limits
    if caller != USER:
        limited = Policies(resource=resource, session=[policy(NOTHING)])
        decision = evaluate(send(caller), limited)
        assert decision.allowed is bypasses_limits
        assert decision.policy_type is (None if bypasses_limits else PolicyType.SESSION)


def needed(request: AccessRequest, policies: Policies) -> list[tuple[str, int]]:
    """Policy and index of the statements that the request needs."""
    return [(each.policy, each.index) for each in evaluate(request, policies).needed]


def test_evaluate_names_the_statements_that_a_request_needs() -> None:
    """Those without which, each alone, it would be denied: of two that allow it neither is, nor one beside a grant."""
    one, limit = policy(NOTHING, ALLOW, name="one"), policy(ALLOW, name="limit")
    assert needed(send(), Policies(identity=[one])) == [("one", 1)]
    assert needed(send(), Policies(identity=[one], boundary=limit)) == [("one", 1), ("limit", 0)]
    assert needed(send(), Policies(identity=[one, policy(ALLOW, name="two")], boundary=limit)) == [("limit", 0)]
    assert needed(send(), Policies(identity=[one], session=[policy(ALLOW, ALLOW, name="s")])) == [("one", 1)]
    to_role, to_session = policy(grant({"AWS": ROLE}), name="queue"), policy(grant({"AWS": SESSION}), name="queue")
    assert needed(send(), Policies(resource=to_role)) == [("queue", 0)]
    assert needed(send(), Policies(identity=[one], resource=to_role, boundary=limit)) == [("limit", 0)]
    assert needed(send(), Policies(identity=[one], resource=to_session)) == []
    assert needed(send(), Policies(identity=[one], resource=to_session, boundary=policy(NOTHING))) == [("queue", 0)]
    assert needed(send(), Policies()) == []


def test_evaluate_names_same_named_policies_apart() -> None:
    """Two policies with one name, as of a user and its group, are two: neither is needed."""
    twice = Policies(identity=[policy(ALLOW, name="same"), policy(ALLOW, name="same")])
    assert len(evaluate(send(), twice).statements) == 2
    assert needed(send(), twice) == []


def test_evaluate_needs_the_statement_of_a_key_that_names_the_account() -> None:
    """A key's policy has to allow too, so both it and the identity-based policy are needed."""
    decrypts = policy({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}, name="own")
    key = policy(grant({"AWS": ROOT}, "kms:*"), name="key")
    assert needed(AccessRequest(SESSION, "kms:Decrypt", KEY), Policies(identity=[decrypts], resource=key)) == [
        ("key", 0), ("own", 0),
    ]  # fmt: skip


def test_evaluate_account_principal_delegates_to_identity_policies() -> None:
    """A resource-based policy that names the account allows nothing by itself."""
    resource = policy(grant({"AWS": "111122223333"}))
    assert evaluate(send(), Policies(resource=resource)).policy_type is PolicyType.IDENTITY
    assert evaluate(send(), Policies(identity=[policy(ALLOW)], resource=resource)).allowed


@pytest.mark.parametrize("named", [OTHER, "444455556666", "arn:aws:iam::444455556666:root", "*"])
def test_evaluate_across_accounts_needs_both_sides(named: str) -> None:
    """The caller's account and the resource's account both have to allow, whatever the resource-based policy names."""
    resource, identity = policy(grant({"AWS": named})), [policy(ALLOW)]
    assert evaluate(send(OTHER), Policies(identity=identity, resource=resource)).allowed
    assert evaluate(send(OTHER), Policies(resource=resource)).policy_type is PolicyType.IDENTITY
    assert evaluate(send(OTHER), Policies(identity=identity)).policy_type is PolicyType.RESOURCE
    limited = Policies(identity=identity, resource=resource, boundary=policy(NOTHING))
    assert evaluate(send(OTHER), limited).policy_type is PolicyType.BOUNDARY


def test_evaluate_takes_the_resource_account_where_the_arn_has_none() -> None:
    """The ARN of a bucket names no account."""
    allow = policy({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    mine = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::bucket/key")
    theirs = AccessRequest(USER, "s3:GetObject", "arn:aws:s3:::bucket/key", resource_account="444455556666")
    assert evaluate(mine, Policies(identity=[allow])).allowed
    assert evaluate(theirs, Policies(identity=[allow])).policy_type is PolicyType.RESOURCE


@pytest.mark.parametrize("levels", [1, 2])
def test_evaluate_every_level_of_service_control_policies_has_to_allow(levels: int) -> None:
    """An organization's policies grant nothing; a level that does not allow denies."""
    allowing = [[policy(ALLOW)]] * levels
    assert evaluate(send(), Policies(identity=[policy(ALLOW)], service_control=allowing)).allowed
    assert not evaluate(send(), Policies(service_control=allowing)).allowed
    decision = evaluate(send(), Policies(identity=[policy(ALLOW)], service_control=[*allowing, [policy(NOTHING)]]))
    assert (decision.reason, decision.policy_type) == (Reason.IMPLICIT_DENY, PolicyType.SERVICE_CONTROL)


def test_evaluate_root_needs_no_allow_in_its_account() -> None:
    """Only an explicit deny stops the root user within the account."""
    assert evaluate(send(ROOT), Policies()).allowed
    assert not evaluate(send(ROOT), Policies(resource=policy({**DENY, "Principal": "*"}))).allowed
    assert not evaluate(send("arn:aws:iam::444455556666:root"), Policies()).allowed


@pytest.mark.parametrize(
    ("caller", "principal"),
    [("events.amazonaws.com", {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}), (ANONYMOUS, "*")],
)
def test_evaluate_callers_without_identity_policies_need_the_resource_policy(caller: str, principal: Any) -> None:
    """Services and anonymous callers are allowed by the resource-based policy alone."""
    assert evaluate(send(caller), Policies(resource=policy(grant(principal)))).allowed
    for resource in (None, policy(grant({"AWS": "111122223333"}))):
        assert evaluate(send(caller), Policies(resource=resource)).policy_type is PolicyType.RESOURCE


def test_evaluate_key_policy_has_to_allow_within_the_account() -> None:
    """Identity-based policies alone do not allow a KMS key: its policy names the caller or delegates to the account."""
    request = AccessRequest(SESSION, "kms:Decrypt", KEY)
    identity = [policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})]
    delegating = policy(grant({"AWS": ROOT}, "kms:*"))
    assert evaluate(request, Policies(identity=identity)).policy_type is PolicyType.RESOURCE
    assert evaluate(request, Policies(identity=identity, resource=delegating)).allowed
    assert evaluate(request, Policies(resource=delegating)).policy_type is PolicyType.IDENTITY
    assert evaluate(request, Policies(resource=policy(grant({"AWS": ROLE}, "kms:Decrypt")))).allowed


def test_evaluate_denies_with_not_principal_only_to_others() -> None:
    """NotPrincipal excepts the caller, unless the caller has a permissions boundary."""
    resource = policy({"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE, ROOT]}, "Action": "*", "Resource": "*"})
    identity = [policy(ALLOW)]
    assert evaluate(send(), Policies(identity=identity, resource=resource)).allowed
    assert not evaluate(send(OTHER), Policies(identity=identity, resource=resource)).allowed
    bounded = Policies(identity=identity, resource=resource, boundary=policy(ALLOW))
    assert evaluate(send(), bounded).reason is Reason.EXPLICIT_DENY


def test_evaluate_get_caller_identity_is_always_allowed() -> None:
    """GetCallerIdentity needs no permission and heeds no deny: STS API Reference."""
    deny = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})
    assert evaluate(AccessRequest(USER, "sts:GetCallerIdentity", "*"), Policies(identity=[deny])).allowed


ASSUME = {"Effect": "Allow", "Action": "sts:AssumeRole"}
MAY_ASSUME = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": ROLE})


@pytest.mark.parametrize(
    ("principal", "identity", "missing"),
    [
        ({"AWS": USER}, [], None),
        ({"AWS": ROOT}, [], PolicyType.IDENTITY),
        ({"AWS": ROOT}, [MAY_ASSUME], None),
        ({"AWS": OTHER}, [MAY_ASSUME], PolicyType.TRUST),
        ({"Service": "sagemaker.amazonaws.com"}, [MAY_ASSUME], PolicyType.TRUST),
    ],
)
def test_evaluate_trust_policy_has_to_allow(
    principal: Any, identity: Sequence[NamedPolicy], missing: PolicyType | None
) -> None:
    """A trust policy allows a user that it names; one that names the account needs an identity-based policy too."""
    policies = Policies(identity=identity, resource=policy({**ASSUME, "Principal": principal}))
    assert evaluate(AccessRequest(USER, "sts:AssumeRole", ROLE), policies).policy_type is missing


def test_evaluate_service_assumes_only_roles_that_trust_it() -> None:
    """A service principal is compared as a whole."""
    trust = policy({**ASSUME, "Principal": {"Service": "sagemaker.amazonaws.com"}})
    assert evaluate(AccessRequest("sagemaker.amazonaws.com", "sts:AssumeRole", ROLE), Policies(resource=trust)).allowed
    for other in ("lambda.amazonaws.com", "a.sagemaker.amazonaws.com"):
        assert not evaluate(AccessRequest(other, "sts:AssumeRole", ROLE), Policies(resource=trust)).allowed


def test_evaluate_root_assumes_no_role() -> None:
    """STS refuses AssumeRole with the credentials of the root user."""
    trust = policy({**ASSUME, "Principal": {"AWS": ROOT}})
    assert not evaluate(AccessRequest(ROOT, "sts:AssumeRole", ROLE), Policies(resource=trust)).allowed


@pytest.mark.parametrize("principal", ["arn:aws:iam::111122223333:group/g", "ana", "arn:aws:s3:::bucket"])
def test_evaluate_refuses_a_principal_that_makes_no_requests(principal: str) -> None:
    """The message quotes the principal."""
    with pytest.raises(ValueError, match=principal):
        evaluate(send(principal), Policies())
