"""Decodes many request and answer bodies of one format at once, with Arrow (CSV) and DuckDB (JSON), without the GIL.

Accepts only rows with exactly the model's columns, and a number, time or category in each. Everything else raises
NotUniform; `record_decoder` then decodes the bodies one by one, with the same result and with findings.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from ml.aws.capture import duckdb_json
from ml.aws.capture.decoded_rows import DecodedAnswers, DecodedInputs
from ml.aws.capture.duckdb_json import NotUniform
from ml.aws.capture.envelope import JSON_LINES, JSON_OBJECTS, NONE, TABLE, BodyFormat
from ml.aws.capture.record_decoder import EVENT_ID
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs
from ml.model import category_levels, time_units

_LINE_END = ord("\n")
_BLOCK = 1 << 20  # bytes: as much as the cache holds
_ANSWER = {
    "score": pa.float64(),
    "decision": pa.int8(),
    "model_version": pa.string(),
    EVENT_ID: pa.string(),
}
_ANSWER_TYPES = {"score": "DOUBLE", "decision": "DOUBLE", "model_version": "VARCHAR", EVENT_ID: "VARCHAR"}


Bodies: TypeAlias = Any
"""Texts: a list of them, or an Arrow array."""


def decode_inputs(
    bodies: Bodies, form: BodyFormat, inputs: Sequence[str], text_inputs: TextInputs = NO_TEXT
) -> DecodedInputs | None:
    """The rows of requests of the format `form`; None if no request was captured.

    Raises:
        NotUniform: some have another format, or more or fewer columns than the model.
    """
    if form.layout == NONE:
        return None
    texts = _texts(bodies)
    if form.layout == TABLE:
        return _given_csv(texts, inputs, form.detail, text_inputs)
    if form.layout == JSON_OBJECTS:
        return _given_json(texts, inputs, form.detail, text_inputs)
    if form.layout == JSON_LINES:
        lines, lengths = _lines(texts)
        return dataclasses.replace(_given_json(lines, inputs, None, text_inputs), lengths=lengths)
    raise NotUniform


def decode_answers(bodies: Bodies, form: BodyFormat) -> DecodedAnswers | None:
    """The answers of the format `form`; None if none was captured. Raises NotUniform as `decode_inputs` does."""
    if form.layout == NONE:
        return None
    texts = _texts(bodies)
    if form.layout == TABLE and form.detail is None:
        return _answered_csv(texts)
    if form.layout == JSON_OBJECTS:
        return _answered_json(texts, form.detail)
    if form.layout == JSON_LINES:
        lines, lengths = _lines(texts)
        return dataclasses.replace(_answered_json(lines, None), lengths=lengths)
    raise NotUniform


def _texts(bodies: Bodies) -> pa.Array:
    try:
        return bodies if isinstance(bodies, pa.Array) else pa.array(bodies, pa.string())
    except UnicodeEncodeError as error:  # half a surrogate pair: valid in JSON, not in UTF-8
        raise NotUniform from error


def _given_csv(bodies: pa.Array, inputs: Sequence[str], header: str | None, text_inputs: TextInputs) -> DecodedInputs:
    """Rows of CSV, all without a header (None) or each body with the same one."""
    names = list(inputs) if header is None else [name.strip() for name in header.split(",")]
    ids = header is not None and EVENT_ID in names and EVENT_ID not in inputs
    if sorted(names) != sorted([*inputs, *([EVENT_ID] if ids else [])]):
        raise NotUniform
    if header is not None:
        bodies = pa.array([body[body.find("\n") + 1 :] for body in bodies.to_pylist()], pa.string())
    types = dict.fromkeys(inputs, pa.float64()) | ({EVENT_ID: pa.string()} if ids else {})
    types |= {name: pa.string() for name in inputs if name in text_inputs}
    table, lengths = _csv(bodies, names, types)
    found = table[EVENT_ID].combine_chunks() if ids else pa.nulls(table.num_rows, pa.string())
    if ids and pc.any(pc.match_substring_regex(found, r"^\s|\s$")).as_py():
        raise NotUniform
    values = [_numbers(table[name].combine_chunks(), name, text_inputs) for name in inputs]
    return DecodedInputs(lengths=lengths, inputs=_matrix(values, table.num_rows), ids=found)


def _numbers(values: pa.Array, name: str, text_inputs: TextInputs) -> pa.Array:
    """The values of an input, of text the number that it becomes. Raises NotUniform if one cannot be read."""
    levels = text_inputs.levels.get(name)
    if levels is not None:
        texts = pc.utf8_trim(pc.fill_null(values, ""), characters=" ")
        if pc.any(pc.greater(pc.utf8_length(texts), category_levels.MAX_LENGTH)).as_py():
            raise NotUniform
        encoded = texts.dictionary_encode()
        places = np.array(levels.places(encoded.dictionary.to_pylist()))
        return pa.array(places[encoded.indices.to_numpy()])
    if name not in text_inputs:
        return values
    times = time_units.IsoTimes.of(text_inputs.iso_times)
    found = [times.seconds(text) if times is not None and text is not None else None for text in values.to_pylist()]
    if None in found:
        raise NotUniform
    return pa.array(found, pa.float64())


def _answered_csv(bodies: pa.Array) -> DecodedAnswers:
    """Answers in CSV without a header: score, decision, model_version and perhaps event_id."""
    width = bodies[0].as_py().partition("\n")[0].count(",") + 1
    if width not in (3, 4):
        raise NotUniform
    names = list(_ANSWER)[:width]
    table, lengths = _csv(bodies, names, {name: _ANSWER[name] for name in names})
    return _answered([table[name].combine_chunks() for name in names], lengths)


def _given_json(texts: pa.Array, inputs: Sequence[str], key: str | None, text_inputs: TextInputs) -> DecodedInputs:
    """Objects by name, in a list under `key`, or one per body (None)."""
    if EVENT_ID in inputs:
        raise NotUniform
    types = {EVENT_ID: "VARCHAR"} | {name: "VARCHAR" if name in text_inputs else "DOUBLE" for name in inputs}
    (ids, *values), lengths = _json(texts, types, key)
    strings = named = len(ids) - ids.null_count
    colons = 0  # within text
    for place, name in enumerate(inputs):
        if name in text_inputs:
            strings += len(ids) - values[place].null_count
            colons += pc.sum(pc.count_substring(values[place], ":")).as_py() or 0
            values[place] = _numbers(values[place], name, text_inputs)
    matrix = _matrix(values, len(ids))
    pairs = matrix.size + named + (len(texts) if key else 0)
    _refuse_extra_values(texts, pairs=pairs, strings=strings, colons=colons)
    return DecodedInputs(lengths=lengths, inputs=matrix, ids=ids.cast(pa.string()))


def _answered_json(texts: pa.Array, key: str | None) -> DecodedAnswers:
    """Answers as objects with score, decision, model_version and perhaps event_id."""
    rows, lengths = _json(texts, _ANSWER_TYPES, key)
    strings = sum(len(column) - column.null_count for column in rows[2:])
    _refuse_extra_values(texts, pairs=2 * len(rows[0]) + strings + (len(texts) if key else 0), strings=strings)
    return _answered(rows, lengths)


def _lines(bodies: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    split = [body.rstrip("\r\n").split("\n") for body in bodies.to_pylist()]
    lengths = np.array([len(lines) for lines in split])
    return pa.array([line for lines in split for line in lines], pa.string()), lengths


def _csv(bodies: pa.Array, names: list[str], types: dict[str, Any]) -> tuple[pa.Table, NDArray[np.int64]]:
    text = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(bodies)], pa.int32()), bodies), "\n")[0].as_buffer()
    letters = np.frombuffer(text, np.uint8)
    if (letters == ord('"')).any():  # a quoted field may hold a comma or a line's end
        raise NotUniform
    lengths = _line_counts(bodies, letters)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK),
            convert_options=pa_csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
    except pa.ArrowInvalid as error:
        raise NotUniform from error
    if table.num_rows != lengths.sum() or not lengths.all():
        raise NotUniform
    return table, lengths


def _line_counts(bodies: pa.Array, letters: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The lines of each body, the last with or without a break: its own breaks among those of the joined text.

    Args:
        letters: the bodies, joined by a break between each two. They are looked through once, all together: a search in
            each body would take a third as long as the parse of its numbers.
    """
    breaks = np.flatnonzero(letters == _LINE_END)
    if len(breaks) == len(bodies) - 1:
        return np.ones(len(bodies), np.int64)
    sizes = pc.binary_length(bodies).to_numpy().astype(np.int64)
    ends = np.cumsum(sizes + 1) - 1  # the place after each body, where the break between it and the next one is
    between = np.searchsorted(breaks, ends[:-1])
    own = np.append(between, len(breaks)) - np.insert(between + 1, 0, 0)
    ended = (sizes > 0) & (letters[ends - 1] == _LINE_END)
    made: NDArray[np.int64] = own + ~ended
    return made


def _json(texts: pa.Array, types: dict[str, str], key: str | None) -> tuple[list[Any], NDArray[np.int64]]:
    """The columns of the bodies' rows, and how many rows each body has."""
    # DuckDB reads the string "1.5" as a number, and a name may be written with escapes; the parser of requests and the
    # record decoder take only numbers.
    numeric = "|".join(re.escape(name) for name, kind in types.items() if kind == "DOUBLE")
    if pc.any(pc.match_substring_regex(texts, rf'\\|"(?:{numeric})"\s*:\s*"')).as_py():
        raise NotUniform
    shape = duckdb_json.sql_literal(json.dumps({key: [types]} if key else types))
    found = duckdb_json.query(f"SELECT from_json(text, {shape}) AS body FROM texts", texts)  # noqa: S608 - quoted
    column = found["body"].combine_chunks()
    if column.null_count:
        raise NotUniform
    lengths = np.ones(len(texts), np.int64)
    if key:
        lists = column.field(key)
        if lists.null_count:
            raise NotUniform
        lengths = np.diff(lists.offsets.to_numpy())
        column = lists.flatten()
    if not lengths.all() or column.null_count:
        raise NotUniform
    return [column.field(name) for name in types], lengths


def _refuse_extra_values(texts: pa.Array, *, pairs: int, strings: int, colons: int = 0) -> None:
    """Raises NotUniform where the bodies hold more than the decoded `pairs` of name and value.

    Each name needs one colon at least, so exactly `pairs` colons, and the `colons` within decoded text, mean that there
    is no other name. Two quotation marks for each name and each of the `strings` mean that no number was quoted. `true`
    and `false`, which DuckDB reads as 1 and 0, are recognised by their first letter.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    text = np.frombuffer(texts.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    places = np.flatnonzero(text == ord(":"))
    if len(places) != pairs + colons or np.count_nonzero(text == ord('"')) != 2 * (pairs + strings):
        raise NotUniform
    after = text[places + 1]
    spaced = after == ord(" ")
    after = np.where(spaced, text[np.where(spaced, places + 2, places)], after)
    if np.isin(after, np.frombuffer(b"tf \t\r\n", np.uint8)).any():
        raise NotUniform


def _matrix(columns: Sequence[Any], rows: int) -> NDArray[np.float64]:
    values = np.empty((rows, len(columns)), order="F")
    for place, column in enumerate(columns):
        if column.null_count:
            raise NotUniform
        values[:, place] = column.to_numpy()
    return values


def _answered(columns: Sequence[Any], lengths: NDArray[np.int64]) -> DecodedAnswers:
    scores, decisions, versions, *ids = columns
    rows = len(scores)
    if scores.null_count or decisions.null_count:
        raise NotUniform
    decided = decisions.to_numpy(zero_copy_only=False)
    if not np.isin(decided, (0, 1)).all():
        raise NotUniform
    return DecodedAnswers(
        lengths=lengths,
        scores=scores.to_numpy(zero_copy_only=False),
        decisions=decided.astype(np.int8),
        versions=versions.cast(pa.string()),
        ids=ids[0].cast(pa.string()) if ids else pa.nulls(rows, pa.string()),
    )
