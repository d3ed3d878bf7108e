"""Answers for the caller's identity: GetCallerIdentity of the emulator's own key, for which moto has no record."""

from __future__ import annotations

from typing import Any

from local_aws.authorization import gate
from local_aws.errors import NotHandled

ACCESS_KEY = "AKIALOCALAWS00000000"
SECRET_KEY = "the-emulator-checks-no-signature"  # noqa: S105 - not a secret: nothing is protected by it


class CallerIdentity:
    """Answers for the configured caller, `caller_arn`, the administrator of the account."""

    def __init__(self, *, account: str, caller_arn: str) -> None:
        self._account, self._caller_arn = account, caller_arn

    def caller_identity(self, _: dict[str, Any]) -> dict[str, Any]:
        """GetCallerIdentity: the configured caller; moto answers for keys of its users and role sessions."""
        caller = gate.principal.get()
        if caller is not None and not caller.administrator:
            raise NotHandled
        user = self._caller_arn.rsplit(":", 1)[-1]
        identifier = self._account if user == "root" else f"AROALOCALAWS00000000:{user.rsplit('/', 1)[-1]}"
        return {"Arn": self._caller_arn, "Account": self._account, "UserId": identifier}
