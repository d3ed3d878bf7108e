"""Rules of IAM and STS: sizes of policies, length of sessions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_INLINE_CHARS, _MANAGED_CHARS, _TRUST_CHARS = 10_240, 6_144, 2_048
_DEFAULT_SESSION_SECONDS = 3600


def policy_chars(document: str) -> int:
    """The size of a policy as IAM counts it: without white space."""
    return len(re.sub(r"\s", "", document))


def check_inline(role: str, documents: list[str]) -> None:
    """Refuses inline policies of a role that are too long together."""
    if sum(map(policy_chars, documents)) > _INLINE_CHARS:
        raise violation("iam-inline-policies-size", limit=_INLINE_CHARS, role=role)


def check_trust(document: str) -> None:
    """Refuses a trust policy that is too long."""
    if policy_chars(document) > _TRUST_CHARS:
        raise violation("iam-trust-policy-size", limit=_TRUST_CHARS)


def check_managed(document: str) -> None:
    """Refuses a managed policy that is too long."""
    if policy_chars(document) > _MANAGED_CHARS:
        raise violation("iam-managed-policy-size", limit=_MANAGED_CHARS)


def _inline(parameters: Mapping[str, Any]) -> None:
    role = account_state.role(parameters["RoleName"])
    others = {} if role is None else {k: v for k, v in role.policies.items() if k != parameters["PolicyName"]}
    check_inline(parameters["RoleName"], [*map(str, others.values()), parameters["PolicyDocument"]])


def _trust(parameters: Mapping[str, Any]) -> None:
    check_trust(parameters.get("AssumeRolePolicyDocument") or parameters.get("PolicyDocument") or "")


def _managed(parameters: Mapping[str, Any]) -> None:
    check_managed(parameters["PolicyDocument"])


def _session_length(parameters: Mapping[str, Any]) -> None:
    role = account_state.role(parameters["RoleArn"])
    limit = int(getattr(role, "max_session_duration", None) or _DEFAULT_SESSION_SECONDS)
    if role is not None and int(parameters.get("DurationSeconds") or 0) > limit:
        raise violation("sts-session-length")


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("iam", "PutRolePolicy"): (_inline,),
    ("iam", "CreateRole"): (_trust,),
    ("iam", "UpdateAssumeRolePolicy"): (_trust,),
    ("iam", "CreatePolicy"): (_managed,),
    ("iam", "CreatePolicyVersion"): (_managed,),
    ("sts", "AssumeRole"): (_session_length,),
    ("sts", "AssumeRoleWithWebIdentity"): (_session_length,),
}
"""By service and operation."""
