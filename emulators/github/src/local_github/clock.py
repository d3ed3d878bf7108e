"""The emulator's clock and GitHub's time format."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Returns the current time with its time zone. Tests and simulations hand in their own."""


def system_clock() -> datetime:
    """The current time in UTC."""
    return datetime.now(UTC)


def timestamp(moment: datetime) -> str:
    """`moment` as GitHub writes it: YYYY-MM-DDTHH:MM:SSZ."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_utc(text: str) -> str:
    """An ISO 8601 time with any offset, as GitHub writes it."""
    return timestamp(datetime.fromisoformat(text))
