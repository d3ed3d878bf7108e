"""Names and times in the forms that SageMaker gives them."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_ALPHABET = string.ascii_lowercase + string.digits
JOB_NAME_LIMIT = 63


def identifier(length: int) -> str:
    """A random lower-case identifier of `length` letters and digits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def job_name(execution_id: str, step: str, prefix: str = "pipelines") -> str:
    """A job's name as Pipelines forms it: `pipelines-<execution>-<step>-<suffix>`, at most 63 characters."""
    head, suffix = f"{prefix[:20].rstrip('-')}-{execution_id}-", f"-{identifier(10)}"
    middle = re.sub(r"[^A-Za-z0-9]+", "-", step).strip("-")
    return head + middle[: JOB_NAME_LIMIT - len(head) - len(suffix)].strip("-") + suffix


def now() -> datetime:
    """The current time. Service time is real time, as signatures are, and not what FRAUDOPS_NOW says."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """`moment` as EventBridge details and execution variables write it, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wire(value: Any) -> Any:
    """`value` with every datetime as seconds since the epoch, the form of AWS's JSON protocol."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {k: wire(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [wire(v) for v in value]
    return value


def camel(value: Any) -> Any:
    """`value` with keys in lower camel case, the form of the details of pipeline events."""
    if isinstance(value, Mapping):
        return {k[:1].lower() + k[1:]: camel(v) for k, v in value.items()}
    return [camel(v) for v in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """`value` as Join, arguments, hyperparameters and environments carry it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)
