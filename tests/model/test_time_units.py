"""ISO times of requests are read as seconds since 1970, and written back."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import time_units
from ml.model.time_units import IsoTimes

ZONES = ("UTC", "Europe/Berlin", "America/New_York")


@pytest.mark.parametrize(
    ("text", "zone", "seconds"),
    [
        ("2026-03-01T06:00:00Z", "Europe/Berlin", 1772344800.0),
        (" 2026-03-01 06:00", "UTC", 1772344800.0),
        ("2026-03-01T07:00:00.25", "Europe/Berlin", 1772344800.25),
        ("2026-03-01T08:00:00+02", "UTC", 1772344800.0),
        ("2026-03-01T03:30:00-0230", "UTC", 1772344800.0),
        ("2026-10-25T02:30:00", "Europe/Berlin", 1792891800.0),  # twice on the clocks: the later one
        ("2026-03-29T02:30:00", "Europe/Berlin", 1774747800.0),  # never there: with the offset before
        ("2026-02-30", "UTC", None),
        ("2026-03-01Z", "UTC", None),
        ("20260301", "UTC", None),
        ("now", "UTC", None),
    ],
)
def test_iso_times_are_read(text: str, zone: str, seconds: float | None) -> None:
    """With and without offset; anything else is no time."""
    assert IsoTimes(zone).seconds(text) == seconds


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)), st.sampled_from(ZONES))
def test_written_time_is_read_back(moment: datetime, zone: str) -> None:
    """In any zone, because it is written in UTC."""
    seconds = IsoTimes("UTC").seconds(moment.isoformat())
    assert seconds is not None
    assert IsoTimes(zone).seconds(time_units.iso_text(seconds)) == seconds


def test_unknown_zone_is_known_as_such() -> None:
    """A misspelt zone, a path, and nothing."""
    assert [time_units.zone_exists(zone) for zone in (*ZONES, "Europe/Berlln", "../etc/passwd", "")] == [
        *[True] * 3,
        *[False] * 3,
    ]
