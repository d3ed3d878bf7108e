"""Simulates what a role may do, with IAM's policy simulator. Makes none of the simulated calls.

Source: IAM API, SimulatePrincipalPolicy. It evaluates the role's policies, its permissions boundary and the
organisation's service control policies, but not the policies of resources.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ml.aws import session

_ALLOWED = "allowed"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An action on a resource that the role may not do. `missing` are context keys that the simulation lacked."""

    action: str
    resource: str
    reason: str
    missing: tuple[str, ...] = ()


def refusals(
    role_arn: str, actions: Sequence[str], resources: Sequence[str], context: Mapping[str, str | tuple[str, ...]]
) -> list[Refusal]:
    """The pairs of `actions` and `resources` that the policies of the role do not allow under `context`.

    Args:
        context: values by condition key; that of a multi-valued key is a tuple.

    Raises:
        CloudError: the caller may not simulate, or there is no such role.
    """
    entries = [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [value] if isinstance(value, str) else list(value),
            "ContextKeyType": "string" if isinstance(value, str) else "stringList",
        }
        for key, value in context.items()
    ]
    with session.explained(f"simulating the policies of {role_arn}"):
        pages = session.client("iam").get_paginator("simulate_principal_policy")
        results = [
            result
            for page in pages.paginate(
                PolicySourceArn=role_arn,
                ActionNames=list(actions),
                ResourceArns=list(resources),
                ContextEntries=entries,
            )
            for result in page["EvaluationResults"]
        ]
    return [refusal for result in results for refusal in _refusals(result)]


def _refusals(result: Mapping[str, Any]) -> Iterator[Refusal]:
    """One result has its decision for one resource, or one decision for each of several."""
    specific = result.get("ResourceSpecificResults") or []
    decisions = [(item["EvalResourceName"], item["EvalResourceDecision"], item) for item in specific] or [
        (result.get("EvalResourceName", "*"), result["EvalDecision"], result)
    ]
    for resource, decision, item in decisions:
        if decision != _ALLOWED:
            yield Refusal(
                action=result["EvalActionName"],
                resource=resource,
                reason=_reason(decision, item, result),
                missing=tuple(item.get("MissingContextValues") or result.get("MissingContextValues") or ()),
            )


def _reason(decision: str, item: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    boundary = item.get("PermissionsBoundaryDecisionDetail") or result.get("PermissionsBoundaryDecisionDetail") or {}
    if (result.get("OrganizationsDecisionDetail") or {}).get("AllowedByOrganizations") is False:
        return "a service control policy of the organisation"
    if boundary.get("AllowedByPermissionsBoundary") is False:
        return "the role's permissions boundary"
    return "an explicit deny" if decision == "explicitDeny" else "no statement allows it"
