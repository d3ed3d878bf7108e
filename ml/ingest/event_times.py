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
_UNITS = (
    time_units.EPOCH_SECONDS,
    time_units.EPOCH_MILLISECONDS,
    "microseconds since 1970, which must be divided by 1000 for epoch_milliseconds",
    time_units.SECONDS_SINCE_START,
)
"""The units that a fault may suggest, the most probable first."""


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
    if unit == time_units.ISO:
        years = moments.iloc[rows].dt.year.to_numpy(dtype=np.float64)
        found = [(f"reads as year {year:.0f}; {limits}", at) for (year,), at in _groups(years)]
    else:
        values = frame[column].to_numpy(dtype=np.float64)[rows]
        found = []
        for (year, place), at in _groups(_years(values, unit, dating), _unit_places(values, unit, dating)):
            hint = f"is the unit in data.yaml {_UNITS[int(place)]}? {limits.capitalize()}" if place >= 0 else limits
            found.append((f"reads as year {year:.0f} in {unit}; {hint}", at))
    return [Fault(kind="time out of range", column=column, rule=rule, rows=rows[at]) for rule, at in found]


def probable_unit(value: float, unit: str, dating: Dating) -> str | None:
    """The unit in which `value`, which makes no sense in `unit`, is a plausible time; None if there is none."""
    ((better, _),) = probable_units(np.array([value]), unit, dating)
    return better


def probable_units(
    values: NDArray[np.float64], unit: str, dating: Dating, *, relative: bool = True
) -> list[tuple[str | None, NDArray[np.int64]]]:
    """The `values` by the unit in which they are plausible times, as `probable_unit`: the units and the positions.

    Args:
        relative: whether seconds since a start are such a unit.
    """
    found = _groups(_unit_places(values, unit, dating, relative=relative))
    return [(_UNITS[int(place)] if place >= 0 else None, at) for (place,), at in found]


def _unit_places(
    values: NDArray[np.float64], unit: str, dating: Dating, *, relative: bool = True
) -> NDArray[np.float64]:
    """The place in `_UNITS` of the probable unit of each value; -1 if there is none."""
    low, high = EARLIEST.timestamp(), dating.latest.timestamp()
    spans = [(low * per_second, high * per_second) for per_second in (1.0, 1_000.0, 1_000_000.0)]
    spans += [(0.0, _MAX_RELATIVE_SECONDS)] if relative else []
    places = np.full(len(values), -1.0)
    for place, (first, end) in enumerate(spans):
        if _UNITS[place] != unit:
            places[(places < 0) & (values >= first) & (values < end)] = place
    return places


def _groups(*keys: NDArray[np.float64]) -> list[tuple[tuple[float, ...], NDArray[np.int64]]]:
    """Each combination of `keys` that occurs, and its ascending positions, in the order of the first position."""
    if not len(keys[0]):
        return []
    distinct, first, group = np.unique(np.stack(keys, axis=1), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(group.reshape(-1)))[:-1])
    return [(tuple(distinct[at].tolist()), parts[at]) for at in np.argsort(first)]


def _years(values: NDArray[np.float64], unit: str, dating: Dating) -> NDArray[np.float64]:
    """The years of times of any size."""
    seconds = values / time_units.per_second(unit)
    if unit == time_units.SECONDS_SINCE_START:
        start = DEFAULT_START if dating.start is None else dating.start
        seconds = seconds + datetime.combine(start, time(), UTC).timestamp()
    years: NDArray[np.float64] = 1970 + np.floor(seconds / (365.2425 * 86_400))
    return years


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
