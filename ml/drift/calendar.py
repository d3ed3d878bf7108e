"""Windows to judge: the calendar's latest whole one, earlier ones, and those that a person names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Literal

from ml.errors import ConfigError

Window = tuple[datetime, datetime]
"""Start, included, and end, not; both in UTC."""
Unit = Literal["day", "week", "month"]

MATURING_PERIOD = timedelta(days=120)
"""How long after its end a window is judged again as labels arrive: as long as cardholders may dispute a charge."""
_MIN_WINDOWS = 24
_DAY = timedelta(days=1)


def latest(now: datetime, unit: Unit) -> Window:
    """The latest whole day, week (from Monday) or month of UTC's calendar that is over at `now`."""
    end = _beginning(now.astimezone(UTC), unit)
    return _beginning(end - _DAY, unit), end


def whole(window: Window, unit: Unit) -> bool:
    """Whether a window is one of the calendar's."""
    return latest(window[1], unit) == window


def between(start: datetime, end: datetime, unit: Unit) -> Iterator[Window]:
    """The calendar's windows that are completely between `start` and `end`, oldest first."""
    first = _beginning(start.astimezone(UTC), unit)
    while first < end:
        after = _after(first, unit)
        if first >= start and after <= end:
            yield first, after
        first = after


def counted(every: Iterable[Window], *, first: Window, unit: Unit) -> list[Window]:
    """The windows of `every` that count for a decision about `first`, oldest first.

    The calendar's windows take precedence over those that a person named, none of which may end after `first`: judging
    some days of the present month must not replace the last month. At least 24, and all whose labels still mature.
    """
    known = set(every)
    found = apart((window for window in known if whole(window, unit)), first=[first])
    found = apart((window for window in known if window[1] <= first[1]), first=found)
    return [
        window
        for place, window in enumerate(reversed(found))
        if place < _MIN_WINDOWS or window == first or window[1] > first[1] - MATURING_PERIOD
    ][::-1]


def apart(windows: Iterable[Window], *, first: Iterable[Window] = ()) -> list[Window]:
    """Windows that do not overlap, chosen latest first, returned oldest first.

    Days, weeks and months may have been judged side by side; counted together, the same traffic would count twice.

    Args:
        first: windows that are taken before any other, and do not overlap.
    """
    taken = list(first)
    for window in sorted(windows, key=lambda each: (each[1], each[0]), reverse=True):
        if all(window[1] <= other[0] or other[1] <= window[0] for other in taken):
            taken.append(window)
    return sorted(taken)


def parse(text: str) -> Window:
    """The window `START/END`, two ISO 8601 times with offsets.

    Raises:
        ConfigError: `text` is not that.
    """
    first, separator, last = text.partition("/")
    try:
        start, end = (datetime.fromisoformat(part.strip()) for part in (first, last))
    except ValueError:
        start = end = datetime.min
    if not separator or start.tzinfo is None or end.tzinfo is None:
        raise ConfigError(
            f"window must be START/END, two times with an offset, as 2026-03-01T00:00:00Z/2026-04-01T00:00:00Z "
            f"(got {text!r})"
        )
    if start >= end:
        raise ConfigError(f"window must end after it starts (got {text!r})")
    if start.microsecond or end.microsecond:
        raise ConfigError(f"window must be in whole seconds (got {text!r})")
    return start.astimezone(UTC), end.astimezone(UTC)


def _beginning(moment: datetime, unit: Unit) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "month":
        return midnight.replace(day=1)
    return midnight - timedelta(days=midnight.weekday()) if unit == "week" else midnight


def _after(beginning: datetime, unit: Unit) -> datetime:
    if unit == "month":
        return _beginning(beginning + timedelta(days=31), unit)
    return beginning + (timedelta(days=7) if unit == "week" else _DAY)
