"""Converts the columns of a label file to their types, and marks the values that break the contract of labels.

Pure: arrays in, arrays out. Does not decide whether a broken row refuses the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.aws.labels.store import CHANNELS
from ml.errors import DataError
from ml.model.data_contract import MAX_ID_LENGTH

FIRST_YEAR = 2000
"""An earlier time is in a wrong unit, or a placeholder such as 1970-01-01."""
_TIME = pa.timestamp("us", "UTC")
_LABELS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A converted column: `values` of each row, and by (kind, rule) the rows that break the rule, bool[rows]."""

    values: pa.Array
    broken: Mapping[tuple[str, str], NDArray[np.bool_]]


def event_ids(array: pa.Array, where: str) -> Column:
    """Ids as text. Raises DataError, naming `where`, if the column is neither text nor whole numbers."""
    kind = array.type
    if not (_is_text(kind) or pa.types.is_integer(kind)):
        raise DataError(f"{where} is {kind}; it must be text or whole numbers")
    values = pc.fill_null(pc.cast(array, pa.string()), "")
    blank = _mask(pc.equal(pc.utf8_trim_whitespace(values), ""))
    long = _mask(pc.greater(pc.utf8_length(values), MAX_ID_LENGTH))
    printable = _mask(pc.utf8_is_printable(values))
    return Column(
        values=values,
        broken={
            ("missing event_id", "must not be empty"): blank,
            ("event_id too long", f"must have at most {MAX_ID_LENGTH} characters"): long,
            ("event_id not printable", "must have printable characters only"): ~printable & ~blank,
        },
    )


def labels(array: pa.Array, where: str) -> Column:
    """Labels as int8. Raises DataError, naming `where`, if the column is neither text, numbers nor booleans."""
    kind = array.type
    if _is_text(kind):
        text = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(array, pa.string()), ""))
        names, codes = pa.array(_LABELS.keys(), pa.string()), pa.array(_LABELS.values(), pa.int8())
        values = codes.take(pc.index_in(text, value_set=names))
    elif pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = pc.cast(pc.cast(array, pa.int8()) if pa.types.is_boolean(kind) else array, pa.float64(), safe=False)
        values = pc.if_else(pc.is_in(numbers, pa.array([0.0, 1.0])), numbers, None).cast(pa.int8())
    else:
        raise DataError(f"{where} is {kind}; it must be 0 or 1, as numbers, booleans or text")
    return Column(values=values, broken={("label outside {0,1}", "must be 0 (legitimate) or 1 (fraud)"): _null(values)})


def known_times(array: pa.Array, where: str, *, now: datetime) -> Column:
    """Times in UTC; one without an offset is taken as UTC, and a date as its first moment.

    Raises:
        DataError: the column is neither text nor times; the message names `where`.
    """
    kind = array.type
    if _is_text(kind):
        values = _parsed(pc.utf8_trim_whitespace(pc.fill_null(pc.cast(array, pa.string()), "")))
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        values = pc.cast(array, pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else _TIME, safe=False)
        values = pc.cast(values, _TIME)
    else:
        raise DataError(f"{where} is {kind}; it must be timestamps or ISO 8601 text, as 2026-03-01T06:00:00Z")
    limits = (pa.scalar(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC), _TIME), pa.scalar(now.astimezone(UTC), _TIME))
    early = _mask(pc.fill_null(pc.less(values, limits[0]), False))
    late = _mask(pc.fill_null(pc.greater(values, limits[1]), False))
    return Column(
        values=values,
        broken={
            ("known_at not a time", "must be an ISO 8601 time, as 2026-03-01T06:00:00Z"): _null(values),
            ("known_at before 2000", f"must be in {FIRST_YEAR} or later"): early,
            ("known_at in the future", "must not be in the future: a label is imported once it is known"): late,
        },
    )


def channels(array: pa.Array, where: str) -> Column:
    """Channels as text. Raises DataError, naming `where`, if the column is not text."""
    if not (_is_text(array.type) or pa.types.is_null(array.type)):
        raise DataError(f"{where} is {array.type}; it must be {' or '.join(CHANNELS)}")
    values = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(array, pa.string()), ""))
    unknown = ~_mask(pc.is_in(values, value_set=pa.array(CHANNELS)))
    return Column(values=values, broken={("unknown channel", f"must be {' or '.join(CHANNELS)}"): unknown})


def _parsed(text: pa.Array) -> pa.Array:
    """ISO 8601 text as times in UTC; null where it is none. Arrow reads columns in which all rows have one form."""
    for kind in (_TIME, pa.timestamp("us")):
        try:
            return pc.cast(pc.cast(text, kind), _TIME)
        except pa.ArrowInvalid:
            continue
    return pa.array([_moment(item) for item in text.to_pylist()], _TIME)


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _is_text(kind: pa.DataType) -> bool:
    text: bool = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return text


def _null(values: pa.Array) -> NDArray[np.bool_]:
    return _mask(pc.is_null(values))


def _mask(condition: Any) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = condition.to_numpy(zero_copy_only=False).astype(np.bool_)
    return mask
