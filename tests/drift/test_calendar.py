"""Windows of the calendar: whole, without gaps, over; and those that somebody names."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.drift import calendar
from ml.errors import ConfigError

Unit = Literal["day", "week", "month"]
UNITS = st.sampled_from(["day", "week", "month"])
MOMENTS = st.datetimes(min_value=datetime(2020, 1, 2), max_value=datetime(2030, 1, 1), timezones=st.just(UTC))
LENGTHS = {"day": {1}, "week": {7}, "month": {28, 29, 30, 31}}


@given(MOMENTS, UNITS)
def test_the_latest_window_is_whole_and_over(now: datetime, unit: Unit) -> None:
    """It ends at a midnight that is past, and the one after it is not over yet."""
    start, end = calendar.latest(now, unit)
    assert start < end <= now
    assert (end - start).days in LENGTHS[unit]
    assert start.time() == end.time() == datetime.min.time()
    following = next(iter(calendar.between(end, end + timedelta(days=62), unit)))
    assert following[0] == end
    assert following[1] > now


@given(MOMENTS, st.integers(0, 200), UNITS)
def test_windows_between_two_moments_follow_one_another(start: datetime, days: int, unit: Unit) -> None:
    """Each begins where the one before ended, within the bounds."""
    end = start + timedelta(days=days)
    found = list(calendar.between(start, end, unit))
    assert all(first[1] == second[0] for first, second in itertools.pairwise(found))
    assert all(start <= window[0] and window[1] <= end for window in found)
    assert len(found) >= days // {"day": 1, "week": 7, "month": 31}[unit] - 1 - (unit == "month")


def test_weeks_begin_on_monday() -> None:
    """As ISO 8601 has it."""
    assert calendar.latest(datetime(2026, 3, 4, tzinfo=UTC), "week")[0] == datetime(2026, 2, 23, tzinfo=UTC)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12), st.integers(0, 40), st.integers(1, 9))
def test_windows_that_are_counted_do_not_overlap(spans: list[tuple[int, int]], first: int, length: int) -> None:
    """The one that is asked for is always among them; whatever was left out overlaps one that was not."""
    zero = datetime(2026, 1, 1, tzinfo=UTC)

    def window(start: int, days: int) -> calendar.Window:
        return zero + timedelta(days=start), zero + timedelta(days=start + days)

    every, chosen = [window(*span) for span in spans], window(first, length)
    found = calendar.apart(every, first=[chosen])
    assert chosen in found
    assert found == sorted(found)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))
    for left in set(every) - set(found):
        assert any(left[0] < kept[1] and kept[0] < left[1] for kept in found)


def days(first: int, last: int) -> calendar.Window:
    """From one day of 2026 to before another, counted from 0."""
    zero = datetime(2026, 1, 1, tzinfo=UTC)
    return zero + timedelta(days=first), zero + timedelta(days=last)


def test_windows_that_somebody_asked_for_do_not_decide_in_place_of_the_calendars() -> None:
    """Neither days of the present month nor the last ones of a month that has its own verdict; others are counted."""
    january, february, march = days(0, 31), days(31, 59), days(59, 90)
    asked = [days(-20, -5), days(57, 59), days(40, 62), days(90, 95)]
    found = calendar.counted([january, february, march, *asked], first=march, unit="month")
    assert found == [days(-20, -5), january, february, march]
    assert calendar.counted([january, february, march, *asked], first=days(90, 95), unit="month")[-1] == days(90, 95)
    assert calendar.counted([january, february, march], first=january, unit="month")[-1] == march


def test_windows_are_counted_for_as_long_as_labels_may_come() -> None:
    """Of days as many as ripen, of months two years: concept drift would never be seen in what is left out."""
    every = [days(place, place + 1) for place in range(200)]
    assert calendar.counted(every, first=every[-1], unit="day") == every[-120:]
    months = list(calendar.between(datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), "month"))
    assert calendar.counted(months, first=months[-1], unit="month") == months[-24:]


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
def test_a_window_that_is_none_is_refused(text: str) -> None:
    """It names what was given."""
    with pytest.raises(ConfigError, match="window must"):
        calendar.parse(text)


@given(MOMENTS, st.integers(1, 10**6), st.integers(-12, 14))
def test_any_window_is_read_as_it_was_written(start: datetime, seconds: int, hours: int) -> None:
    """Two times with their offsets, whatever they are."""
    first = start.replace(microsecond=0)
    last = first + timedelta(seconds=seconds)
    offset = timedelta(hours=hours)
    written = "/".join(
        (moment + offset).replace(tzinfo=None).isoformat() + f"{hours:+03d}:00" for moment in (first, last)
    )
    assert calendar.parse(written) == (first, last)
