"""Defines the units of a time column, and reads ISO times of requests.

Part of the archive's code/, so it imports the standard library only, and zoneinfo only for a zone other than UTC: it
reads the interpreter's build settings and the system's time zone database. A time is a number for the model: seconds
since 1970 for ISO times, else the column's own number. Only the time of day, in UTC, is ever used of it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

ISO, EPOCH_SECONDS, EPOCH_MILLISECONDS, SECONDS_SINCE_START = (
    "iso",
    "epoch_seconds",
    "epoch_milliseconds",
    "seconds_since_start",
)
UNITS = (ISO, EPOCH_SECONDS, EPOCH_MILLISECONDS, SECONDS_SINCE_START)
UTC_ZONE = "UTC"
ISO_PATTERN = (  # also a pattern of DuckDB's regular expressions
    r"\d{4}-\d{2}-\d{2}([T ]([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}(:?\d{2})?)?)?"
)
"""What is taken as an ISO time, in files and in requests: a date, or a date and a time, with or without an offset."""
ISO_EXAMPLE = "2026-03-01T06:00:00Z"

_ISO = re.compile(ISO_PATTERN, re.ASCII)
_FRACTION = re.compile(r"(\.\d{6})\d+")
_OFFSET_HOURS = re.compile(r"([+-]\d{2})$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def per_second(unit: str | None) -> int:
    """How many of `unit` make a second: 1000 for milliseconds, else 1; also 1 without a unit."""
    return 1000 if unit == EPOCH_MILLISECONDS else 1


def zone_exists(zone: str) -> bool:
    """Whether this system's or Python's time zone database knows `zone`; UTC needs none."""
    if zone == UTC_ZONE:
        return True
    from zoneinfo import ZoneInfoNotFoundError

    try:
        _time_zone(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _time_zone(zone: str) -> tzinfo:
    """The time zone of that name."""
    if zone == UTC_ZONE:
        return UTC
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone)


def iso_text(seconds: float) -> str:
    """The ISO time in UTC of seconds since 1970, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=round(seconds * 1_000_000))).isoformat().replace("+00:00", "Z")


class IsoTimes:
    """Reads ISO times; one without an offset is local time in `zone`.

    Where a clock that is put back shows a local time twice, it is the later one; a local time that a clock put forward
    leaves out is read with the offset before. So reads ICU, and with it DuckDB, which reads the files.
    """

    def __init__(self, zone: str) -> None:
        self._zone = _time_zone(zone)

    @classmethod
    def of(cls, named: tuple[str, str] | None) -> IsoTimes | None:
        """For the zone in (column, zone); None for None."""
        return None if named is None else cls(named[1])

    def seconds(self, text: str) -> float | None:
        """Seconds since 1970 in UTC; None if `text` is not an ISO time."""
        text = text.strip(" \t")
        if not _ISO.fullmatch(text):
            return None
        text = _FRACTION.sub(r"\1", text)
        if len(text) > len("2026-03-01"):
            text = _OFFSET_HOURS.sub(r"\1:00", text)
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is not None:
                return (moment - _EPOCH) / _SECOND
            folds = (moment.replace(tzinfo=self._zone, fold=fold).astimezone(UTC) for fold in (0, 1))
            return (max(folds) - _EPOCH) / _SECOND
        except (ValueError, OverflowError):
            return None
