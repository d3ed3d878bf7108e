"""Generates names, and converts values and times, in SageMaker's formats."""

from __future__ import annotations

import hashlib
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


def derived_identifier(token: str, length: int) -> str:
    """An identifier that is the same for the same request token, so that a run can be repeated exactly; else random."""
    return hashlib.sha256(token.encode()).hexdigest()[:length] if token else identifier(length)


def job_name(execution_id: str, step: str, prefix: str = "pipelines") -> str:
    """A job name in the format of Pipelines: `pipelines-<execution>-<step>-<suffix>`, at most 63 characters."""
    head, suffix = f"{prefix[:20].rstrip('-')}-{execution_id}-", f"-{identifier(10)}"
    middle = re.sub(r"[^A-Za-z0-9]+", "-", step).strip("-")
    return head + middle[: JOB_NAME_LIMIT - len(head) - len(suffix)].strip("-") + suffix


def now() -> datetime:
    """The current real time: records of executions and jobs do not use the emulator's clock."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """`moment` in the format of event details and execution variables, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def wire(value: Any) -> Any:
    """`value` with datetimes as seconds since the epoch, as in AWS's JSON protocol."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {k: wire(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [wire(v) for v in value]
    return value


def camel(value: Any) -> Any:
    """`value` with keys in lower camel case, as in pipeline events."""
    if isinstance(value, Mapping):
        return {k[:1].lower() + k[1:]: camel(v) for k, v in value.items()}
    return [camel(v) for v in value] if isinstance(value, list) else value


def text(value: Any) -> str:
    """`value` as text in Join, arguments, hyperparameters and environments."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def parse_time(value: Any) -> datetime | None:
    """A time of a request, in seconds since the epoch or ISO 8601, as UTC; None if there is none."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else None
