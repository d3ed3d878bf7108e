"""SimulatePrincipalPolicy and SimulateCustomPolicy, answered by the evaluator that also decides real calls.

Executes no call and logs no decision.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local_aws.authorization.principals import Principals, named
from local_aws.errors import AwsError
from local_aws.iam.evaluation import AccessRequest, NamedPolicy, Policies, evaluate
from local_aws.iam.evaluation_outcome import Decision, PolicyType, Reason

_KEY = re.compile(r"^arn:[^:]+:kms:[^:]*:[^:]*:key/")
_SOURCE_TYPES = {
    PolicyType.IDENTITY: "IAM Policy",
    PolicyType.RESOURCE: "Resource Policy",
    PolicyType.TRUST: "Resource Policy",
    PolicyType.BOUNDARY: "Permissions Boundary Policy",
}
_DECISIONS = {
    Reason.ALLOWED: "allowed",
    Reason.EXPLICIT_DENY: "explicitDeny",
    Reason.IMPLICIT_DENY: "implicitDeny",
}


class PolicySimulator:
    """Answers IAM's simulation operations for one account."""

    def __init__(self, *, account: str, principals: Principals) -> None:
        self._account, self._principals = account, principals

    def simulate_principal_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """SimulatePrincipalPolicy: the policies of a user or role, and those of the request."""
        arn = parameters["PolicySourceArn"]
        own = self._principals.entity(arn)
        if own is None:
            kind, _, name = arn.rpartition(":")[2].partition("/")
            raise AwsError("NoSuchEntity", f"The {kind} with name {name.rpartition('/')[2]} cannot be found.", 404)
        given = _given(parameters.get("PolicyInputList"))
        boundary = _given(parameters.get("PermissionsBoundaryPolicyInputList"))
        policies = Policies(
            identity=[*own.identity, *given], boundary=boundary[0] if boundary else own.boundary, session=own.session
        )
        return self._simulate(parameters, policies, caller=parameters.get("CallerArn") or arn)

    def simulate_custom_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """SimulateCustomPolicy: the policies of the request alone."""
        boundary = _given(parameters.get("PermissionsBoundaryPolicyInputList"))
        policies = Policies(identity=_given(parameters["PolicyInputList"]), boundary=boundary[0] if boundary else None)
        caller = parameters.get("CallerArn") or f"arn:aws:iam::{self._account}:user/simulated"
        return self._simulate(parameters, policies, caller=caller)

    def _simulate(self, parameters: Mapping[str, Any], policies: Policies, *, caller: str) -> dict[str, Any]:
        given = {entry["ContextKeyName"]: _value(entry) for entry in parameters.get("ContextEntries") or []}
        context = {"aws:PrincipalArn": caller, "aws:PrincipalAccount": self._account, **given}
        # "… does not use resource-based policies unless they are included in the request": IAM User Guide, "IAM policy
        # testing with the IAM policy simulator".
        attached = named("resource policy", parameters["ResourcePolicy"]) if parameters.get("ResourcePolicy") else None
        results = []
        for action in parameters["ActionNames"]:
            for resource in parameters.get("ResourceArns") or ["*"]:
                request = AccessRequest(caller, action, resource, context, resource_account=self._account)
                decision = evaluate(
                    request,
                    Policies(
                        identity=policies.identity,
                        boundary=policies.boundary,
                        resource=attached or self._key_policy(resource),
                    ),
                )
                results.append(_result(decision))
        return {"EvaluationResults": results, "IsTruncated": False}

    def _key_policy(self, resource: str) -> NamedPolicy | None:
        """The default policy of a KMS key, which lets the account's policies decide.

        A real call to a key needs its policy's consent. A simulation has no key policy, so the identity policies alone
        decide.
        """
        if not _KEY.match(resource):
            return None
        principal = {"AWS": f"arn:aws:iam::{self._account}:root"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"}
        return named("key policy", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def _given(documents: Sequence[str] | None) -> list[NamedPolicy]:
    return [named(f"PolicyInputList.{number}", text) for number, text in enumerate(documents or [], 1)]


def _value(entry: Mapping[str, Any]) -> str | Sequence[str]:
    values: Sequence[str] = entry.get("ContextKeyValues") or []
    return values[0] if not entry.get("ContextKeyType", "string").endswith("List") and values else tuple(values)


def _result(decision: Decision) -> dict[str, Any]:
    return {
        "EvalActionName": decision.action,
        "EvalResourceName": decision.resource,
        "EvalDecision": _DECISIONS[decision.reason],
        "MatchedStatements": list(_matched(decision)),
        "MissingContextValues": [],
    }


def _matched(decision: Decision) -> Iterable[dict[str, Any]]:
    for statement in decision.statements:
        yield {
            "SourcePolicyId": statement.arn or statement.policy,
            "SourcePolicyType": _SOURCE_TYPES.get(statement.policy_type, "IAM Policy"),
        }
