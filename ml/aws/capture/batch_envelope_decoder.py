"""Decodes the envelopes of many captured lines at once, if they are complete and of one format.

It is `envelope` for whole columns. Missing, new or mixed fields raise NotUniform; `envelope` then decodes the lines one
by one, with the same result. The two may differ only where a line breaks the schema's types (a body that is a number, a
side without a body): this module reads it as text, or as not captured; `envelope` reports it as unreadable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.aws.capture import duckdb_json, envelope
from ml.aws.capture.duckdb_json import NotUniform
from ml.aws.capture.envelope import (
    ABSENT,
    IRREGULAR,
    JSON_LINES,
    JSON_OBJECTS,
    SMOKE,
    TABLE,
    BodyFormat,
    RequestColumns,
    Unreadable,
)

_SIDE = {"data": "VARCHAR", "encoding": "VARCHAR", "observedContentType": "VARCHAR"}
_LINE = {
    "captureData": {"endpointInput": _SIDE, "endpointOutput": _SIDE},
    "eventMetadata": {"inferenceTime": "VARCHAR", "inferenceId": "VARCHAR"},
}
_PATHS = {
    "time": ["eventMetadata", "inferenceTime"],
    "id": ["eventMetadata", "inferenceId"],
    **{f"given_{name}": ["captureData", "endpointInput", name] for name in _SIDE},
    **{f"answered_{name}": ["captureData", "endpointOutput", name] for name in _SIDE},
}
_OPEN = f"SELECT from_json(text, {duckdb_json.sql_literal(json.dumps(_LINE))}) AS line FROM texts"  # noqa: S608 - constants
_DECODE = "SELECT decode(from_base64(text)) AS text FROM texts"


@dataclass(frozen=True, slots=True)
class EnvelopeBatch:
    """The envelopes of a group of lines: number of `lines`, number `outside` the window, and the requests inside."""

    lines: int
    outside: int
    requests: list[RequestColumns]
    smoke: list[RequestColumns]


def decode_envelopes(data: bytes, start: int, end: int) -> EnvelopeBatch:
    """The requests in whole lines, answered from `start` to before `end`, microseconds since 1970.

    Raises:
        NotUniform: a line cannot be decoded, or the lines are not all of one format.
    """
    table = duckdb_json.query(_OPEN, _lines(data))
    line = table["line"].combine_chunks()
    column = {name: pc.struct_field(line, path) for name, path in _PATHS.items()}
    times = _times(column["time"])
    inside = (times >= start) & (times < end)
    outside = int(np.count_nonzero(~inside))
    places = np.arange(len(times))
    if outside:
        column = {name: values.filter(pa.array(inside)) for name, values in column.items()}
        times, places = times[inside], places[inside]
    if not len(times):
        return EnvelopeBatch(len(table), outside, [], [])
    given, given_form = _side(column, "given", "instances")
    answered, answered_form = _side(column, "answered", "predictions")
    if given is None and answered is None:
        raise NotUniform
    ids = column["id"]
    ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
    whole = RequestColumns(
        given_form,
        answered_form,
        places.tolist(),
        times.tolist(),
        ids,
        given if given is not None else [],
        answered if answered is not None else [],
    )
    smoke = pc.fill_null(pc.starts_with(ids, SMOKE), False)
    if not pc.any(smoke).as_py():
        return EnvelopeBatch(len(table), outside, [whole], [])
    chosen = smoke.to_numpy(zero_copy_only=False)
    rest = np.flatnonzero(~chosen)
    return EnvelopeBatch(len(table), outside, [whole.at(rest)] if len(rest) else [], [whole.at(np.flatnonzero(chosen))])


def _lines(data: bytes) -> pa.Array:
    """The lines as Arrow strings, without a copy."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data) or len(data) >= 1 << 31:
        raise NotUniform
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends
    texts = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotUniform from error
    return texts


def _times(texts: pa.Array) -> NDArray[np.int64]:
    """Microseconds since 1970; each distinct minute is parsed once."""
    if texts.null_count:
        raise NotUniform
    minutes = pc.utf8_slice_codeunits(texts, 0, 17).dictionary_encode()
    seconds = pc.utf8_slice_codeunits(texts, 17, 100).dictionary_encode()
    known = envelope.SECONDS
    try:
        begins = [envelope.moment(f"{minute}00Z") for minute in minutes.dictionary.to_pylist()]
        after = [known[second] for second in seconds.dictionary.to_pylist()]
    except (Unreadable, KeyError) as error:
        raise NotUniform from error
    of_minute, of_second = np.array(begins, np.int64), np.array(after, np.int64)
    times: NDArray[np.int64] = of_minute[minutes.indices.to_numpy()] + of_second[seconds.indices.to_numpy()]
    return times


def _side(column: dict[str, pa.Array], side: str, key: str) -> tuple[pa.Array | None, BodyFormat]:
    """The bodies of one side (all captured, or none) and their common format."""
    texts, kinds, encodings = (column[f"{side}_{name}"] for name in ("data", "observedContentType", "encoding"))
    if texts.null_count == len(texts) == kinds.null_count == encodings.null_count:
        return None, ABSENT
    kind, encoding = _common_value(kinds), _common_value(encodings)
    if texts.null_count:
        raise NotUniform
    if encoding == "BASE64":
        texts = duckdb_json.query(_DECODE, texts)["text"].combine_chunks()
        if texts.null_count:
            raise NotUniform
    form = envelope.detect_format(texts[0].as_py(), kind or "", key)
    if not _have_format(texts, form, key):
        raise NotUniform
    return texts, form


def _common_value(values: pa.Array) -> str | None:
    """The one value of the column. Raises NotUniform if there are several."""
    first: str | None = values[0].as_py()
    if first is None:
        if values.null_count < len(values):
            raise NotUniform
    elif values.null_count or not pc.all(pc.equal(values, first)).as_py():
        raise NotUniform
    return first


def _have_format(texts: pa.Array, form: BodyFormat, key: str) -> bool:
    """Whether all bodies have the format of the first one."""
    if form.layout == IRREGULAR:
        return True
    if form.layout == TABLE and form.detail is None:
        first = pc.unique(pc.utf8_slice_codeunits(texts, 0, 1)).to_pylist()
        return envelope.NUMERIC.issuperset(first)
    if form.layout == TABLE and form.detail is not None:
        return bool(pc.all(pc.starts_with(texts, f"{form.detail}\n")).as_py()) or bool(
            pc.all(pc.starts_with(texts, f"{form.detail}\r\n")).as_py()
        )
    if form.layout in (JSON_OBJECTS, JSON_LINES) and form.detail is None:
        other = pc.any(pc.starts_with(texts, f'{{"{key}"')).as_py()
        return not other and bool(pc.all(pc.starts_with(texts, "{")).as_py())
    head = texts[0].as_py()[:20]
    return bool(pc.all(pc.starts_with(texts, head[: head.index("{", 1) + 1])).as_py())
