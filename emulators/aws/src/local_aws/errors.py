"""How the local cloud says no: an error with AWS's own code, message and status, whatever the wire protocol.

Knows nothing of HTTP; `local_aws.dispatcher` renders these in the shape that the call's protocol wants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Handler = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers one operation: request parameters by their API names in, response members out."""

Emit = Callable[[str, Mapping[str, Any], Sequence[str]], None]
"""Puts an event on the default bus: (detail type, detail, ARNs of the resources it is about)."""


class AwsError(Exception):
    """An error as a client of AWS sees it.

    `members` holds what the error's shape has beside its message, as ModelError's OriginalStatusCode.
    """

    def __init__(self, code: str, message: str, status: int = 400, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, dict(members or {})


class NotHandled(Exception):
    """Raised by a handler that leaves a call to moto, as a Describe of a job that moto keeps."""


class EmulatorError(Exception):
    """The emulator cannot start, or its own settings are wrong; the message says what to do."""
