"""Checks the properties of a stack's resource against the rules of its service, which its API would enforce.

moto's resources bypass the APIs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from local_aws.service_rules import identity_checks
from local_aws.service_rules.catalog import violation

_TARGETS_PER_RULE = 5


def _text(document: Any) -> str:
    return document if isinstance(document, str) else json.dumps(document, separators=(",", ":"))


def _role(properties: Mapping[str, Any]) -> None:
    identity_checks.check_trust(_text(properties.get("AssumeRolePolicyDocument") or {}))
    documents = [_text(policy.get("PolicyDocument") or {}) for policy in properties.get("Policies") or []]
    identity_checks.check_inline(str(properties.get("RoleName") or "of the stack"), documents)


def _managed_policy(properties: Mapping[str, Any]) -> None:
    identity_checks.check_managed(_text(properties.get("PolicyDocument") or {}))


def _rule(properties: Mapping[str, Any]) -> None:
    if len(properties.get("Targets") or []) > _TARGETS_PER_RULE:
        raise violation("events-targets-per-rule")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "AWS::IAM::Role": _role,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::Events::Rule": _rule,
}


def check_properties(type_name: str, properties: Mapping[str, Any]) -> None:
    """Returns if no rule of the type's service refuses the properties.

    Raises:
        AwsError: in the service's words.
    """
    check = _CHECKS.get(type_name)
    if check is not None:
        check(properties)
