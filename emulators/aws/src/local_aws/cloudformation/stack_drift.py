"""The result of a stack's drift detection, which a test or a user sets. Detects nothing.

DetectStackDrift is refused: comparing every resource with its template is not emulated, and an invented IN_SYNC would
be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from local_aws.errors import AwsError

NOT_CHECKED = {"StackDriftStatus": "NOT_CHECKED"}
"""The drift of a stack of which drift was never detected."""
_STATUSES = ("DRIFTED", "IN_SYNC", "UNKNOWN", "NOT_CHECKED")


def set_result(stacks: Mapping[str, Any], wanted: Any, now: datetime) -> dict[str, str]:
    """Sets what DescribeStacks says of the drift of a stack.

    Args:
        stacks: moto's stacks of the account and region, by id.
        wanted: {"stack": name, "status": DRIFTED, IN_SYNC, UNKNOWN or NOT_CHECKED}.

    Raises:
        AwsError: ValidationError if there is no such stack or status.
    """
    name, status = (wanted.get("stack"), wanted.get("status")) if isinstance(wanted, dict) else (None, None)
    found = [stack for stack in stacks.values() if stack.name == name]
    if not found:
        raise AwsError("ValidationError", f"there is no stack {name!r}; name one in `stack`")
    if status not in _STATUSES:
        raise AwsError("ValidationError", f"status must be one of {', '.join(_STATUSES)} (got {status!r})")
    drift: dict[str, Any] = {"StackDriftStatus": status}
    found[0].drift_information = drift if status == "NOT_CHECKED" else {**drift, "LastCheckTimestamp": now}
    return {"stack": str(name), "status": str(status)}
