"""Calendar windows: whole, without gaps, in the past; and windows that a user gives."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.drift import calendar
from ml.errors import UsageError

Unit = Literal["day", "week", "month"]
UNITS = st.sampled_from(["day", "week", "month"])
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 2), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))
LENGTHS = {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}


@given(MOMENTS, UNITS)
def test_latest_window_is_whole_and_has_ended(now: datetime, unit: Unit) -> None:
    """It ends at a midnight in the past, and the window after it has not ended."""
    start, end = calendar.latest(now, unit)
    assert start < end <= now
    assert (end - start).days in LENGTHS[unit]
    assert start.time() == end.time() == datetime.min.time()
    following = next(iter(calendar.between(end, end + timedelta(days=62), unit)))
    assert following[0] == end
    assert following[1] > now


@given(MOMENTS, st.integers(0, 200), UNITS)
def test_windows_between_two_times_have_no_gaps(start: datetime, days: int, unit: Unit) -> None:
    """Each window starts at the end of the one before, within the bounds."""
    end = start + timedelta(days=days)
    found = list(calendar.between(start, end, unit))
    assert all(first[1] == second[0] for first, second in itertools.pairwise(found))
    assert all(start <= window[0] and window[1] <= end for window in found)
    assert len(found) >= days // {"day": 1, "week": 7, "month": 31}[unit] - 1 - (unit == "month")


def test_weeks_start_on_monday() -> None:
    """ISO 8601 weeks."""
    assert calendar.latest(datetime(2026, 3, 4, tzinfo=UTC), "week")[0] == datetime(2026, 2, 23, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12), st.integers(0, 40), st.integers(1, 9))
def test_chosen_windows_do_not_overlap(spans: list[tuple[int, int]], first: int, length: int) -> None:
    """The given window is always chosen; each window left out overlaps a chosen one."""
    zero = datetime(2026, 1, 1, tzinfo=UTC)

    def window(start: int, days: int) -> calendar.Window:
        return zero + timedelta(days=start), zero + timedelta(days=start + days)

    available, given_window = [window(*span) for span in spans], window(first, length)
    found = calendar.latest_without_overlap(available, first=[given_window])
    assert given_window in found
    assert found == sorted(found)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    for left in set(available) - set(found):
        assert any(left[0] < kept[1] and kept[0] < left[1] for kept in found)


def days(first: int, last: int) -> calendar.Window:
    """From one day of 2026 to before another, counted from 0."""
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    return zero + timedelta(days=first), zero + timedelta(days=last)


def test_given_windows_do_not_replace_calendar_windows() -> None:
    """Days of the current month, or of a month with its own check, are left out; other given windows are used."""
    january, february, march = days(0, 31), days(31, 59), days(59, 90)
    given_windows = [days(-20, -5), days(57, 59), days(40, 62), days(90, 95)]
    found = calendar.without_overlap([january, february, march, *given_windows], first=march, unit="month")
    assert found == [days(-20, -5), january, february, march]
    assert calendar.without_overlap([january, february, march, *given_windows], first=days(90, 95), unit="month")[
        -1
    ] == days(90, 95)
    assert calendar.without_overlap([january, february, march], first=january, unit="month")[-1] == march


def test_windows_are_used_while_labels_may_mature() -> None:
    """120 days of daily windows, 24 monthly windows: concept drift needs windows whose labels mature late."""
    every = [days(place, place + 1) for place in range(200)]
    assert calendar.without_overlap(every, first=every[-1], unit="day") == every[-120:]
    months = list(calendar.between(datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), "month"))
    assert calendar.without_overlap(months, first=months[-1], unit="month") == months[-24:]


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00/2026-03-02T00:00:00",
        "2026-03-02T00:00:00Z/2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00.5Z/2026-03-02T00:00:00Z",
        "$(touch pwned)/`id`",
    ],
)
def test_invalid_window_is_rejected(text: str) -> None:
    """The error states the format."""
    with pytest.raises(UsageError, match="window must"):
        calendar.parse(text)


@given(MOMENTS, st.integers(1, 10**6), st.integers(-12, 14))
def test_window_is_parsed_with_any_offset(start: datetime, seconds: int, hours: int) -> None:
    """The parsed times are equal to the written ones, for offsets from -12 to +14 hours."""
    first = start.replace(microsecond=0)
    last = first + timedelta(seconds=seconds)
    offset = timedelta(hours=hours)
    written = "/".join(
        (moment + offset).replace(tzinfo=None).isoformat() + f"{hours:+03d}:00" for moment in (first, last)
    )
    assert calendar.parse(written) == (first, last)
