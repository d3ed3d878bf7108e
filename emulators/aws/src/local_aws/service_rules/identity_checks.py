"""Rules of IAM, STS and KMS: sizes and numbers of policies, providers, length of sessions, key policies."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatch
from typing import Any

from local_aws.errors import AwsError
from local_aws.iam.policy_documents import DocumentKind, parse
from local_aws.service_rules import account_state
from local_aws.service_rules.catalog import violation
from local_aws.service_rules.check_types import Check

_INLINE_CHARS, _MANAGED_CHARS, _TRUST_CHARS = 10_240, 6_144, 2_048
_DEFAULT_SESSION_SECONDS = 3600
_POLICIES_PER_ROLE = 10


def is_object(document: str) -> bool:
    """Whether a text is a JSON object, as every policy is."""
    try:
        return isinstance(json.loads(document), dict)
    except ValueError:
        return False


def check_grammar(document: str, rule_id: str) -> None:
    """Refuses a resource's policy that is a JSON object and does not follow IAM's grammar; `rule_id` has the error."""
    try:
        parse(document, DocumentKind.RESOURCE)
    except AwsError as error:
        raise violation(rule_id, words=error.message) from error


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
    document = parameters.get("AssumeRolePolicyDocument") or parameters.get("PolicyDocument") or ""
    if not is_object(document):
        raise violation("iam-trust-policy-json")
    check_trust(document)
    parse(document, DocumentKind.TRUST)


def _managed(parameters: Mapping[str, Any]) -> None:
    check_managed(parameters["PolicyDocument"])


def check_attached(arns: Collection[str]) -> None:
    """Refuses more managed policies than a role can have."""
    if len(arns) > _POLICIES_PER_ROLE:
        raise violation("iam-policies-per-role", limit=_POLICIES_PER_ROLE)


def _attached(parameters: Mapping[str, Any]) -> None:
    role = account_state.role(parameters["RoleName"])
    if role is not None:
        check_attached({*role.managed_policies, parameters["PolicyArn"]})


def _policy_in_use(parameters: Mapping[str, Any]) -> None:
    if account_state.attached_entities(parameters["PolicyArn"]):
        raise violation("iam-policy-in-use")


def _provider(parameters: Mapping[str, Any]) -> None:
    check_provider(parameters["Url"])


def check_provider(url: str) -> None:
    """Refuses a second identity provider for one URL."""
    if url.removeprefix("https://").rstrip("/") in account_state.identity_providers():
        raise violation("iam-provider-exists", url=url)


def _key_policy(parameters: Mapping[str, Any]) -> None:
    if not parameters.get("Policy"):
        return
    if not is_object(parameters["Policy"]):
        raise violation("kms-policy-json")
    check_grammar(parameters["Policy"], "kms-policy-grammar")
    if parameters.get("BypassPolicyLockoutSafetyCheck"):
        return
    check_key_policy(json.loads(parameters["Policy"]))


def check_key_policy(document: Any) -> None:
    """Refuses a key's policy that lets nobody of the account change it."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in [statements] if isinstance(statements, dict) else statements:
        if not isinstance(statement, dict):
            continue
        principal = statement.get("Principal", {})
        named = principal.get("AWS", []) if isinstance(principal, dict) else [principal]
        own = any(account_state.account in name or name == "*" for name in _list(named))
        actions = _list(statement.get("Action", []))
        if statement.get("Effect") == "Allow" and own and any(fnmatch("kms:putkeypolicy", a.lower()) for a in actions):
            return
    raise violation("kms-policy-lockout")


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _session_length(parameters: Mapping[str, Any]) -> None:
    role = account_state.role(parameters["RoleArn"])
    limit = int(getattr(role, "max_session_duration", None) or _DEFAULT_SESSION_SECONDS)
    if role is not None and int(parameters.get("DurationSeconds") or 0) > limit:
        raise violation("sts-session-length")


def _session_policy(parameters: Mapping[str, Any]) -> None:
    if not parameters.get("Policy"):
        return
    try:
        parse(parameters["Policy"], DocumentKind.IDENTITY)
    except AwsError as error:
        raise violation("sts-session-policy", words=error.message) from error


CHECKS: Mapping[tuple[str, str], tuple[Check, ...]] = {
    ("iam", "PutRolePolicy"): (_inline,),
    ("iam", "CreateRole"): (_trust,),
    ("iam", "UpdateAssumeRolePolicy"): (_trust,),
    ("iam", "AttachRolePolicy"): (_attached,),
    ("iam", "CreateOpenIDConnectProvider"): (_provider,),
    ("iam", "DeletePolicy"): (_policy_in_use,),
    ("kms", "CreateKey"): (_key_policy,),
    ("kms", "PutKeyPolicy"): (_key_policy,),
    ("iam", "CreatePolicy"): (_managed,),
    ("iam", "CreatePolicyVersion"): (_managed,),
    ("sts", "AssumeRole"): (_session_length, _session_policy),
    ("sts", "AssumeRoleWithWebIdentity"): (_session_length, _session_policy),
}
"""By service and operation."""
