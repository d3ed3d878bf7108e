"""Errors of the emulator: those that AWS clients receive, and those of starting the emulator.

    AwsError        an answer with AWS's code, message and status, in any wire protocol
    NotHandled      not an error: the call is moto's to answer
    EmulatorError   the emulator cannot start, or its settings are invalid

Knows nothing of HTTP; `local_aws.protocols` renders these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

OperationHandler = Callable[[dict[str, Any]], dict[str, Any]]
"""Answers one operation: request parameters by their API names in, response members out."""

EmitEvent = Callable[[str, Mapping[str, Any], Sequence[str]], None]
"""Puts an event on the default bus: (detail type, detail, ARNs of its resources)."""


class AwsError(Exception):
    """An error response of AWS.

    `members` are the members of the error shape beside its message, such as ModelError's OriginalStatusCode.
    """

    def __init__(self, code: str, message: str, status: int = 400, members: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, dict(members or {})


class NotHandled(Exception):
    """Raised by a handler to leave a call to moto, such as the Describe of a job that moto keeps."""


class EmulatorError(Exception):
    """The emulator cannot start, or its settings are invalid; the message says what to do."""
