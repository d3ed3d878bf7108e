"""Writes the SQL that casts the columns of a data file: numbers, times, ids and text. Decides nothing about rows.

A value that cannot be cast is NULL; which rule it breaks is decided from its text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ml.errors import DataError
from ml.model import time_units
from ml.model.data_contract import EVENT_ID, EVENT_TIME
from ml.model.training_settings import Columns

NUMBER, TIME, ID, TEXT, CATEGORY = "number", "time", "id", "text", "category"
_NUMERIC = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN")
_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_TEXT = frozenset({"VARCHAR", "UUID"})
_MOMENT = re.compile(r"TIMESTAMP.*|DATE")
_WITH_ZONE = frozenset({"TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"})  # to the microsecond, to the nanosecond
_MISSING = frozenset({"", "null", "none", "na", "n/a"})


@dataclass(frozen=True, kw_only=True)
class Cast:
    """How one column is read: its name in the result, its name in the file, what it is, and of a time column of
    data.yaml the unit and the zone of local times."""

    name: str
    source: str
    kind: str
    unit: str | None = None
    zone: str = time_units.UTC_ZONE


def time_cast(name: str, source: str, unit: str, zone: str) -> Cast:
    """The cast of a column of times: ISO times become microseconds since 1970, others stay numbers of their unit."""
    kind = TIME if unit == time_units.ISO else NUMBER
    return Cast(name=name, source=source, kind=kind, unit=unit, zone=zone)


def casts(names: Sequence[str], columns: Columns, *, labelled: bool) -> list[Cast]:
    """The columns to read from a file whose columns are `names`: those that are there of those that `columns` name.

    In this order: id, event time, the inputs, the label if `labelled`, the columns to keep.
    """
    time = columns.time
    wanted = [
        Cast(name=EVENT_ID, source=columns.event_id or EVENT_ID, kind=ID),
        Cast(name=EVENT_TIME, source=EVENT_TIME, kind=TIME),
    ]
    for name in columns.inputs:
        if time is not None and name == time.column:
            wanted.append(time_cast(name, name, time.unit, time.zone))
        else:
            wanted.append(Cast(name=name, source=name, kind=CATEGORY if name in columns.categories else NUMBER))
    if labelled:
        wanted.append(Cast(name=columns.label, source=columns.label, kind=NUMBER))
    wanted += [Cast(name=name, source=name, kind=TEXT) for name in columns.kept]
    return [cast for cast in wanted if cast.source in names]


def check_type(path: str, cast: Cast, kind: str) -> None:
    """Refuses a column of Parquet whose type `kind`, in DuckDB's words, cannot hold what it should.

    Raises:
        DataError: it cannot; the message names the column, its type and what it must be.
    """
    what = f"{path}: column {cast.source!r} is {kind}"
    if cast.kind == TIME:
        if not _MOMENT.fullmatch(kind) and kind != "VARCHAR":
            unit = ""
            if cast.unit is not None and _NUMERIC.fullmatch(kind):
                unit = " with the unit iso; is the unit in data.yaml epoch_seconds or epoch_milliseconds?"
            raise DataError(f"{what}; it must be a timestamp or ISO 8601 text{unit}")
    elif cast.kind == NUMBER:
        if not _NUMERIC.fullmatch(kind) and kind != "VARCHAR":
            unit = ""
            if cast.unit is not None and _MOMENT.fullmatch(kind):
                unit = f" with the unit {cast.unit}; is the unit in data.yaml iso?"
            raise DataError(f"{what}; it must be a number{unit}")
    elif cast.kind == ID:
        if kind not in _TEXT and not _WHOLE.fullmatch(kind):
            raise DataError(f"{what}; it must be text or whole numbers")
    elif cast.kind == CATEGORY:
        if kind not in _TEXT and not _WHOLE.fullmatch(kind) and kind != "BOOLEAN":
            raise DataError(
                f"{what}; a column of categories in data.yaml must be text, whole numbers or true and false. Name a "
                f"column of measurements in features"
            )
    elif "[" in kind or kind.startswith(("STRUCT", "MAP", "BLOB", "UNION")):
        raise DataError(f"{what}; it must be text or a number to be kept as text")


def expression(cast: Cast, column: str, kind: str) -> str:
    """The SQL expression of a cast: DOUBLE, microseconds since 1970, or text.

    Args:
        column: the column as SQL, quoted.
        kind: its type in DuckDB's words; VARCHAR for every column of CSV.
    """
    if cast.kind in (ID, TEXT, CATEGORY):
        text = f"coalesce(CAST({column} AS VARCHAR), '')"
        return f"trim({text}, ' ')" if cast.kind == CATEGORY else text  # as category_levels.text_of
    if cast.kind == NUMBER:
        if kind == "VARCHAR":  # DuckDB takes 1_000 and nan(1) for numbers
            other = f"contains({column}, '_') OR contains({column}, '(')"
            return f"CASE WHEN {other} THEN NULL ELSE TRY_CAST({column} AS DOUBLE) END"
        return f"CAST({column} AS DOUBLE)"
    if kind == "VARCHAR":
        text = f"trim({column}, ' \t')"
        local = f"timezone('{cast.zone}', TRY_CAST({text} AS TIMESTAMP))"
        with_offset = f"TRY_CAST({text} AS TIMESTAMPTZ)"
        moment = f"CASE WHEN regexp_matches({text}, '([+-]\\d{{2}}(:?\\d{{2}})?|Z)$') AND length({text}) > 10 "
        moment += f"THEN {with_offset} ELSE {local} END"
        return f"CASE WHEN regexp_full_match({text}, '{time_units.ISO_PATTERN}') THEN epoch_us({moment}) END"
    if kind in _WITH_ZONE:
        return f"epoch_us(CAST({column} AS TIMESTAMPTZ))"
    return f"epoch_us(timezone('{cast.zone}', CAST({column} AS TIMESTAMP)))"


def rule_of(cast: Cast, text: str) -> tuple[str, str]:
    """Kind and rule of the fault of a value that could not be cast, from its text."""
    if cast.kind == TIME:
        return "not a time", f"must be a time as {time_units.ISO_EXAMPLE}"
    missing = text.strip(" \t").lower() in _MISSING
    return ("missing value" if missing else "not a number"), "must be a number"
