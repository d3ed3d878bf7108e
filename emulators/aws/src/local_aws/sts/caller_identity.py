"""Who calls, and whether they may: the STS and IAM calls that moto lacks or answers for nobody in particular."""

from __future__ import annotations

from typing import Any

from local_aws import dispatcher
from local_aws.errors import NotHandled

ACCESS_KEY = "AKIAFRAUDOPSLOCAL000"
SECRET_KEY = "local-clouds-check-no-signature"  # noqa: S105 - not a secret: nothing is protected by it


class Identity:
    """Answers for the caller of the local cloud, `caller_arn`, and lets every policy allow."""

    def __init__(self, *, account: str, caller_arn: str) -> None:
        self._account, self._caller_arn = account, caller_arn

    def caller_identity(self, _: dict[str, Any]) -> dict[str, Any]:
        """GetCallerIdentity: the cloud's own caller, or the user or role session that moto gave the key to."""
        from moto.iam.models import iam_backends
        from moto.sts.models import sts_backends

        key = dispatcher.access_key.get() or ""
        sessions = sts_backends[self._account]["aws"].assumed_roles
        if key in iam_backends[self._account]["aws"].access_keys or any(s.access_key_id == key for s in sessions):
            raise NotHandled
        user = self._caller_arn.rsplit(":", 1)[-1]
        identifier = self._account if user == "root" else f"AROAFRAUDOPSLOCAL000:{user.rsplit('/', 1)[-1]}"
        return {"Arn": self._caller_arn, "Account": self._account, "UserId": identifier}

    def simulate_principal_policy(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """SimulatePrincipalPolicy: allowed, for each action on each resource."""
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
