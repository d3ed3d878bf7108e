"""The time that records and events carry."""

from __future__ import annotations

import os
from datetime import UTC, datetime


def now() -> datetime:
    """The current time in UTC, or what FRAUDOPS_NOW says it is."""
    text = os.environ.get("FRAUDOPS_NOW")
    return datetime.fromisoformat(text).astimezone(UTC) if text else datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """`moment` as YYYY-MM-DDTHH:MM:SSZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
