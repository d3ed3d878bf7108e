"""Decodes the envelopes of many captured lines at once, where they are complete and of one form.

It does what `envelope` does, for whole columns. Missing, new or mixed fields raise NotPlain, and the lines are opened
one by one instead, with the same result. The two differ only for lines that break the schema's types (a body that is a
number, a side without a body): read here as text or as not captured, undecodable there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ml.aws.capture import duckdb_json, envelope
from ml.aws.capture.duckdb_json import NotPlain
from ml.aws.capture.envelope import ABSENT, LINED, OBJECTS, ODD, SMOKE, TABLE, Form, Requests, Unreadable

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
_OPEN = f"SELECT from_json(text, {duckdb_json.quoted(json.dumps(_LINE))}) AS line FROM texts"  # noqa: S608 - constants
_DECODE = "SELECT decode(from_base64(text)) AS text FROM texts"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a group of lines held: `lines` of them, those `outside` the window, and the requests inside."""

    lines: int
    outside: int
    requests: list[Requests]
    smoke: list[Requests]


def opened(data: bytes, start: int, end: int) -> Opened:
    """The requests in whole lines, answered from `start` to before `end`, microseconds since 1970.

    Raises:
        NotPlain: a line cannot be opened, or the lines are not all of one kind.
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
        return Opened(len(table), outside, [], [])
    given, given_form = _side(column, "given", "instances")
    answered, answered_form = _side(column, "answered", "predictions")
    if given is None and answered is None:
        raise NotPlain
    ids = column["id"]
    ids = pc.if_else(pc.equal(ids, ""), pa.scalar(None, pa.string()), ids)
    whole = Requests(
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
        return Opened(len(table), outside, [whole], [])
    chosen = smoke.to_numpy(zero_copy_only=False)
    rest = np.flatnonzero(~chosen)
    return Opened(len(table), outside, [whole.at(rest)] if len(rest) else [], [whole.at(np.flatnonzero(chosen))])


def _lines(data: bytes) -> pa.Array:
    """The lines as texts, without a copy."""
    ends = np.flatnonzero(np.frombuffer(data, np.uint8) == ord("\n")) + 1
    if not len(ends) or ends[-1] != len(data) or len(data) >= 1 << 31:
        raise NotPlain
    offsets = np.zeros(len(ends) + 1, np.int32)
    offsets[1:] = ends
    texts = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(data))
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise NotPlain from error
    return texts


def _times(texts: pa.Array) -> NDArray[np.int64]:
    """Microseconds since 1970; what many share, a minute, is read once."""
    if texts.null_count:
        raise NotPlain
    minutes = pc.utf8_slice_codeunits(texts, 0, 17).dictionary_encode()
    seconds = pc.utf8_slice_codeunits(texts, 17, 100).dictionary_encode()
    known = envelope.SECONDS
    try:
        begins = [envelope.moment(f"{minute}00Z") for minute in minutes.dictionary.to_pylist()]
        after = [known[second] for second in seconds.dictionary.to_pylist()]
    except (Unreadable, KeyError) as error:
        raise NotPlain from error
    of_minute, of_second = np.array(begins, np.int64), np.array(after, np.int64)
    times: NDArray[np.int64] = of_minute[minutes.indices.to_numpy()] + of_second[seconds.indices.to_numpy()]
    return times


def _side(column: dict[str, pa.Array], side: str, key: str) -> tuple[pa.Array | None, Form]:
    """The bodies of one side, which are all there or none, and how they all look."""
    texts, kinds, encodings = (column[f"{side}_{name}"] for name in ("data", "observedContentType", "encoding"))
    if texts.null_count == len(texts) == kinds.null_count == encodings.null_count:
        return None, ABSENT
    kind, encoding = _one(kinds), _one(encodings)
    if texts.null_count:
        raise NotPlain
    if encoding == "BASE64":
        texts = duckdb_json.query(_DECODE, texts)["text"].combine_chunks()
        if texts.null_count:
            raise NotPlain
    form = envelope.look(texts[0].as_py(), kind or "", key)
    if not _alike(texts, form, key):
        raise NotPlain
    return texts, form


def _one(values: pa.Array) -> str | None:
    """The value that all have."""
    first: str | None = values[0].as_py()
    if first is None:
        if values.null_count < len(values):
            raise NotPlain
    elif values.null_count or not pc.all(pc.equal(values, first)).as_py():
        raise NotPlain
    return first


def _alike(texts: pa.Array, form: Form, key: str) -> bool:
    """Whether all bodies look as the first one does."""
    if form.look == ODD:
        return True
    if form.look == TABLE and form.detail is None:
        first = pc.unique(pc.utf8_slice_codeunits(texts, 0, 1)).to_pylist()
        return envelope.NUMERIC.issuperset(first)
    if form.look == TABLE and form.detail is not None:
        return bool(pc.all(pc.starts_with(texts, f"{form.detail}\n")).as_py()) or bool(
            pc.all(pc.starts_with(texts, f"{form.detail}\r\n")).as_py()
        )
    if form.look in (OBJECTS, LINED) and form.detail is None:
        other = pc.any(pc.starts_with(texts, f'{{"{key}"')).as_py()
        return not other and bool(pc.all(pc.starts_with(texts, "{")).as_py())
    head = texts[0].as_py()[:20]
    return bool(pc.all(pc.starts_with(texts, head[: head.index("{", 1) + 1])).as_py())
