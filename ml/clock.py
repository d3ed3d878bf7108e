"""The clock of decisions, capture partitions and commit dates.

FRAUDOPS_NOW (ISO 8601 with an offset) overrides it, so that a simulated year needs no waiting. The SDK still signs
requests to AWS with the real time.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from ml.errors import ConfigError


def now() -> datetime:
    """The current time in UTC, or FRAUDOPS_NOW if it is set.

    Raises:
        ConfigError: FRAUDOPS_NOW is set and is not an ISO 8601 time with an offset.
    """
    text = os.environ.get("FRAUDOPS_NOW")
    if not text:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(
            f"FRAUDOPS_NOW must be an ISO 8601 time with an offset, as 2026-03-01T06:00:00Z (got {text!r})"
        )
    return moment.astimezone(UTC)


def stamp(moment: datetime) -> str:
    """`moment` as YYYY-MM-DDTHH:MM:SSZ, the form used in every state file."""
    # strftime's %Y has no leading zeros on Linux.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
