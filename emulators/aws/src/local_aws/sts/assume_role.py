"""AssumeRole: refuses what the emulator could not honour, and leaves the session to moto.

Whether the caller may assume the role is decided before, by `local_aws.authorization`.
"""

from __future__ import annotations

from typing import Any

from local_aws.errors import AwsError, NotHandled

_UNSUPPORTED = ("PolicyArns", "Tags", "TransitiveTagKeys", "SourceIdentity", "ProvidedContexts")


def refuse_unsupported(parameters: dict[str, Any]) -> dict[str, Any]:
    """Handles AssumeRole: a member that would change what the session may do is an error, so that none is ignored.

    Raises:
        AwsError: ValidationError, naming the member.
        NotHandled: the call is moto's.
    """
    for member in _UNSUPPORTED:
        if parameters.get(member):
            raise AwsError(
                "ValidationError", f"{member} of AssumeRole is not supported by the AWS emulator, use Policy"
            )
    raise NotHandled
