"""Answers for the caller's identity and permissions: STS and IAM calls that moto lacks or answers with a constant."""

from __future__ import annotations

from typing import Any

from local_aws import dispatcher
from local_aws.errors import NotHandled

ACCESS_KEY = "AKIALOCALAWS00000000"
SECRET_KEY = "the-emulator-checks-no-signature"  # noqa: S105 - not a secret: nothing is protected by it


class CallerIdentity:
    """Answers for the configured caller, `caller_arn`, to whom every action is allowed."""

    def __init__(self, *, account: str, caller_arn: str) -> None:
        self._account, self._caller_arn = account, caller_arn

    def caller_identity(self, _: dict[str, Any]) -> dict[str, Any]:
        """GetCallerIdentity: the configured caller; moto answers for keys of its users and role sessions."""
        from moto.iam.models import iam_backends
        from moto.sts.models import sts_backends

        key = dispatcher.access_key.get() or ""
        sessions = sts_backends[self._account]["aws"].assumed_roles
        if key in iam_backends[self._account]["aws"].access_keys or any(s.access_key_id == key for s in sessions):
            raise NotHandled
        user = self._caller_arn.rsplit(":", 1)[-1]
        identifier = self._account if user == "root" else f"AROALOCALAWS00000000:{user.rsplit('/', 1)[-1]}"
        return {"Arn": self._caller_arn, "Account": self._account, "UserId": identifier}

    def simulate_principal_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """SimulatePrincipalPolicy: 'allowed' for each action on each resource."""
        resources = parameters.get("ResourceArns") or ["*"]
        results = [
            {
                "EvalActionName": action,
                "EvalResourceName": resource,
                "EvalDecision": "allowed",
                "MatchedStatements": [],
                "MissingContextValues": [],
            }
            for action in parameters.get("ActionNames", [])
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}
