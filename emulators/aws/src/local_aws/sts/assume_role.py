"""AssumeRole: refuses long sessions of role chains and what the emulator could not honour; moto makes the session.

Whether the caller may assume the role is decided before, by `local_aws.authorization`.
"""

from __future__ import annotations

from typing import Any

from local_aws.authorization import gate
from local_aws.errors import AwsError, NotHandled
from local_aws.service_rules.catalog import violation

_CHAINED_SECONDS = 3600
_UNSUPPORTED = ("PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity", "ProvidedContexts")


def refuse_members(parameters: dict[str, Any], operation: str) -> None:
    """Refuses members that the emulator would ignore, and that would change what the session may do."""
    for member in _UNSUPPORTED:
        if parameters.get(member):
            raise AwsError(
                "ValidationError", f"{member} of {operation} is not supported by the AWS emulator, use Policy"
            )


def refuse_unsupported(parameters: dict[str, Any]) -> dict[str, Any]:
    """Handles AssumeRole: a member that would change what the session may do is an error, so that none is ignored.

    Raises:
        AwsError: ValidationError, naming the member, or the limit of a session that a role's session asks for.
        NotHandled: the call is moto's.
    """
    refuse_members(parameters, "AssumeRole")
    caller = gate.principal.get()
    chained = caller is not None and ":assumed-role/" in caller.arn and not caller.administrator
    if chained and int(parameters.get("DurationSeconds") or 0) > _CHAINED_SECONDS:
        raise violation("sts-chained-session")
    raise NotHandled
