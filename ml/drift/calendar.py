"""Chooses the windows of a drift check: whole days, weeks or months (UTC), or a window that the user gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from ml.errors import UsageError

Window = tuple[datetime, datetime]
"""Start (inclusive) and end (exclusive), in UTC."""
Unit = Literal["day", "week", "month"]

MATURING_PERIOD = timedelta(days=120)
"""How long after its end a window is checked again for labels: the time in which cardholders may dispute a charge."""
_MIN_WINDOWS = 24
_DAY = timedelta(days=1)


def latest(now: datetime, unit: Unit) -> Window:
    """The latest whole day, week (from Monday) or month (UTC) that has ended at `now`."""
    end = _period_start(now.astimezone(UTC), unit)
    return _period_start(end - _DAY, unit), end


def whole(window: Window, unit: Unit) -> bool:
    """Whether a window is a whole day, week or month."""
    return latest(window[1], unit) == window


def between(start: datetime, end: datetime, unit: Unit) -> Iterator[Window]:
    """The whole windows between `start` and `end`, oldest first."""
    first = _period_start(start.astimezone(UTC), unit)
    while first < end:
        after = _next_start(first, unit)
        if first >= start and after <= end:
            yield first, after
        first = after


def without_overlap(available: Iterable[Window], *, first: Window, unit: Unit) -> list[Window]:
    """The windows that a decision about `first` uses: no two overlap, oldest first.

    Whole windows are chosen before windows that a user gave, and the latter must not end after `first`: a check of some
    days of the current month must not replace the last month. Contains at least 24 windows if there are so many, and
    all whose labels may still mature.
    """
    known = set(available)
    windows = latest_without_overlap((window for window in known if whole(window, unit)), first=[first])
    windows = latest_without_overlap((window for window in known if window[1] <= first[1]), first=windows)
    return [
        window
        for age, window in enumerate(reversed(windows))
        if age < _MIN_WINDOWS or window == first or window[1] > first[1] - MATURING_PERIOD
    ][::-1]


def latest_without_overlap(windows: Iterable[Window], *, first: Iterable[Window] = ()) -> list[Window]:
    """The latest of `windows` that do not overlap, oldest first.

    Stored checks may cover days, weeks and months; overlapping ones would count the same traffic twice.

    Args:
        first: windows without overlap that are chosen before all others.
    """
    taken = list(first)
    for window in sorted(windows, key=lambda each: (each[1], each[0]), reverse=True):
        if all(window[1] <= other[0] or other[1] <= window[0] for other in taken):
            taken.append(window)
    return sorted(taken)


def parse(text: str) -> Window:
    """The window `START/END`, two ISO 8601 times with offsets.

    Raises:
        UsageError: `text` has another format.
    """
    first, separator, last = text.partition("/")
    try:
        start, end = (datetime.fromisoformat(part.strip()) for part in (first, last))
        if start.tzinfo is not None and end.tzinfo is not None:
            start, end = start.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError):  # an offset may lead out of the years 1 to 9999
        start = end = datetime.min
    if not separator or start.tzinfo is None or end.tzinfo is None:
        raise UsageError(
            f"window must be START/END, two times with an offset, e.g. 2026-03-01T00:00:00Z/2026-04-01T00:00:00Z "
            f"(got {text!r})"
        )
    if start >= end:
        raise UsageError(f"window must end after it starts (got {text!r})")
    if start.microsecond or end.microsecond:
        raise UsageError(f"window must be in whole seconds (got {text!r})")
    return start, end


def _period_start(moment: datetime, unit: Unit) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "month":
        return midnight.replace(day=1)
    return midnight - timedelta(days=midnight.weekday()) if unit == "week" else midnight


def _next_start(start: datetime, unit: Unit) -> datetime:
    if unit == "month":
        return _period_start(start + timedelta(days=31), unit)
    return start + (timedelta(days=7) if unit == "week" else _DAY)
