"""Dates the rows of a data file, and finds times that cannot be right: before 2000, or after tomorrow.

A time column of another unit than data.yaml says gives such times; the fault then names the probable unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.errors import DataError
from ml.model import data_contract, time_units
from ml.model.data_contract import EVENT_TIME, Fault
from ml.model.training_settings import Columns

DEFAULT_START = date(2013, 9, 1)
"""The month in which the ULB transactions were made; the data set has no date."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECONDS = 1_000_000
_DAY = 86_400 * _MICROSECONDS
_MAX_RELATIVE_SECONDS = 20 * 365.25 * 86_400
"""A smaller number may be seconds since a start."""
_MAX_MICROSECONDS = float(2**62)


@dataclass(frozen=True, kw_only=True)
class Dating:
    """How the rows of one file are dated.

    `start` is the day, midnight UTC, from which seconds since a start count, or the day of a file without any time;
    None if the caller gave none. `day` is the date in the file's name; `alone` says that no other file is read with it.
    `now` is the present.
    """

    start: date | None
    day: date | None
    alone: bool
    now: datetime

    @property
    def latest(self) -> datetime:
        """The first moment that is too late: the end of tomorrow."""
        midnight = datetime.combine(self.now.astimezone(UTC).date(), time(), UTC)
        return midnight + timedelta(days=2)


@dataclass(frozen=True, kw_only=True)
class Dated:
    """How rows were dated: by which column (None: by their place in the file), and what was assumed."""

    column: str | None
    notes: tuple[str, ...] = ()


def date_rows(where: str, frame: pd.DataFrame, columns: Columns, dating: Dating) -> Dated:
    """Adds `event_time` to `frame`, and the model's time if the file lacks it.

    Raises:
        DataError: there is nothing to date the rows by, or `start` has no effect or is out of range.
    """
    if EVENT_TIME in frame:
        if dating.start is not None:
            raise DataError(f"{where}: has an {EVENT_TIME} column, so --start has no effect; leave it out")
        return Dated(column=EVENT_TIME, notes=clock_from_event_time(frame, columns))
    if columns.time is None:
        return Dated(column=None, notes=_spread_over_day(where, frame, dating))
    name, unit = columns.time.column, columns.time.unit
    values = frame[name].to_numpy(dtype=np.float64)
    if unit != time_units.SECONDS_SINCE_START:
        if dating.start is not None:
            raise DataError(f"{where}: {name} is a date and a time ({unit}), so --start has no effect; leave it out")
        frame[EVENT_TIME] = moments_of(values * (_MICROSECONDS / time_units.per_second(unit)))
        return Dated(column=name)
    if dating.start is None and not dating.alone:
        raise DataError(f"{where}: {_start_needed(name, values, dating)}")
    start = DEFAULT_START if dating.start is None else dating.start
    frame[EVENT_TIME] = moments_of(_midnight(where, start, dating) + values * _MICROSECONDS)
    assumed = (
        f"{name} is taken to count from {start} 00:00 UTC, the month of the ULB data; set another day with --start"
    )
    return Dated(column=name, notes=(assumed,) if dating.start is None else ())


def _start_needed(name: str, values: NDArray[np.float64], dating: Dating) -> str:
    """What is wrong with seconds since a start that is not known: the unit, if the values are times in another one."""
    known = values[np.isfinite(values)]
    unit = probable_unit(float(known[0]), time_units.SECONDS_SINCE_START, dating) if len(known) else None
    if unit:
        return (
            f"column {name}: {known[0]:.0f} is too large for the unit {time_units.SECONDS_SINCE_START}; is the unit in "
            f"data.yaml {unit}?"
        )
    return f"{name} counts from a start that the files do not say; give it with --start, the same for all"


def time_faults(frame: pd.DataFrame, columns: Columns, dating: Dating, column: str | None) -> list[Fault]:
    """The rows of `frame`, dated by `column`, whose time is before 2000 or after tomorrow, by the unit they suggest."""
    moments = frame[EVENT_TIME]
    outside = ~((moments >= EARLIEST) & (moments < dating.latest))
    rows = np.flatnonzero((outside & moments.notna()).to_numpy())
    if column is None or not len(rows):
        return []
    limits = f"times must be from {EARLIEST:%Y-%m-%d} to tomorrow, {dating.latest - timedelta(days=1):%Y-%m-%d}"
    unit = columns.time.unit if columns.time is not None and column == columns.time.column else time_units.ISO
    found: dict[str, list[int]] = {}
    for row in rows.tolist():
        if unit == time_units.ISO:
            rule = f"reads as year {moments.iloc[row].year}; {limits}"
        else:
            value = float(frame[column].iloc[row])
            better = probable_unit(value, unit, dating)
            rule = f"reads as year {_year(value, unit, dating)} in {unit}; "
            rule += f"is the unit in data.yaml {better}? {limits.capitalize()}" if better else limits
        found.setdefault(rule, []).append(row)
    return [
        Fault(kind="time out of range", column=column, rule=rule, rows=np.array(at, dtype=np.int64))
        for rule, at in found.items()
    ]


def probable_unit(value: float, unit: str, dating: Dating) -> str | None:
    """The unit in which `value`, which makes no sense in `unit`, is a plausible time; None if there is none."""
    low, high = EARLIEST.timestamp(), dating.latest.timestamp()
    for other, per_second in (
        (time_units.EPOCH_SECONDS, 1.0),
        (time_units.EPOCH_MILLISECONDS, 1_000.0),
        ("microseconds since 1970, which must be divided by 1000 for epoch_milliseconds", 1_000_000.0),
    ):
        if other != unit and low <= value / per_second < high:
            return other
    if unit != time_units.SECONDS_SINCE_START and 0 <= value < _MAX_RELATIVE_SECONDS:
        return time_units.SECONDS_SINCE_START
    return None


def _year(value: float, unit: str, dating: Dating) -> int:
    """The year of a time of any size."""
    seconds = value / time_units.per_second(unit)
    if unit == time_units.SECONDS_SINCE_START:
        start = DEFAULT_START if dating.start is None else dating.start
        seconds += datetime.combine(start, time(), UTC).timestamp()
    return int(1970 + seconds // (365.2425 * 86_400))


def moments_of(microseconds: NDArray[np.float64]) -> pd.Series[pd.Timestamp]:
    """Times in UTC; one that cannot be represented becomes the last that can, which is out of any range."""
    known = np.isfinite(microseconds)
    counted = np.clip(np.where(known, microseconds, 0.0), -_MAX_MICROSECONDS, _MAX_MICROSECONDS)
    moments = np.rint(counted).astype(np.int64).view("M8[us]").copy()
    moments[~known] = np.datetime64("NaT")
    return pd.Series(moments).dt.tz_localize("UTC")


def _midnight(where: str, day: date, dating: Dating) -> int:
    if not EARLIEST.date() <= day < dating.latest.date():
        last = dating.latest.date() - timedelta(days=1)
        raise DataError(f"{where}: --start must be a day from {EARLIEST:%Y-%m-%d} to tomorrow, {last} (got {day})")
    return int(datetime.combine(day, time(), UTC).timestamp()) * _MICROSECONDS


def _spread_over_day(where: str, frame: pd.DataFrame, dating: Dating) -> tuple[str, ...]:
    """Dates rows without any time: evenly over one day, in the file's order."""
    if dating.start is not None and not dating.alone:
        raise DataError(f"{where}: --start dates one file only; put the day into each file's name, as 2026-03-01")
    day = dating.day if dating.start is None else dating.start
    if day is None:
        ways = (
            f"give the day with --start, add a column {EVENT_TIME}, or put the day into the file's name, as 2026-03-01"
        )
        raise DataError(f"{where}: data.yaml names no time column, and the rows have no date; {ways}")
    places = np.arange(len(frame), dtype=np.float64) * (_DAY / max(len(frame), 1))
    frame[EVENT_TIME] = moments_of(_midnight(where, day, dating) + np.floor(places))
    return ("data.yaml names no time column: rows are dated evenly over the day of their file, in its order",)


def clock_from_event_time(frame: pd.DataFrame, columns: Columns) -> tuple[str, ...]:
    """Adds the model's time to `frame`, which has `event_time`, if it lacks it; returns how it was computed."""
    if columns.time is None or columns.time.column in frame:
        return ()
    known = frame[EVENT_TIME].notna().to_numpy()
    moments = data_contract.microseconds(frame[EVENT_TIME]).astype(np.float64)
    name, unit = columns.time.column, columns.time.unit
    if unit == time_units.SECONDS_SINCE_START:
        first = moments[known].min() // _DAY * _DAY if known.any() else 0.0
        values = (moments - first) / _MICROSECONDS
        day = datetime.fromtimestamp(first / _MICROSECONDS, UTC).date()
        text = f"{name} was computed from {EVENT_TIME}: seconds since {day} 00:00 UTC"
    else:
        values = moments * (time_units.per_second(unit) / _MICROSECONDS)
        counted = "milliseconds" if unit == time_units.EPOCH_MILLISECONDS else "seconds"
        text = f"{name} was computed from {EVENT_TIME}: {counted} since 1970"
    frame[name] = np.where(known, values, np.nan)
    return (text,)
