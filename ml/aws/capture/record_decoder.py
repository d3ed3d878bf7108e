"""Decodes one request or answer body of any format, and reports everything that is wrong with it.

It is the reference for `column_decoder` and takes everything that is not uniform. It accepts more than this project's
endpoints do: captured requests may have been answered by another model's container.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ml.aws.capture import decoded_rows, envelope
from ml.aws.capture.decoded_rows import SchemaFindings
from ml.aws.capture.envelope import BodyFormat, Unreadable
from ml.aws.capture.text_inputs import NO_TEXT, TextInputs
from ml.model import category_levels, time_units
from ml.model.category_levels import Levels

EVENT_ID = "event_id"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_ANSWER = ("score", "decision", "model_version", EVENT_ID)
_INPUT, _OUTPUT = "endpointInput", "endpointOutput"


Row = tuple[list[float], str | None]
"""Inputs in order, and the event id where the row has one."""
Answer = tuple[float, int, str | None, str | None]
"""Score, decision (-1 if there is none), model version, event id."""


def decode_inputs(
    body: str,
    form: BodyFormat,
    inputs: Sequence[str],
    findings: SchemaFindings,
    texts: TextInputs = NO_TEXT,
) -> list[Row]:
    """The rows of a request. Values that do not fit are NaN and counted in `findings`; no row is left out.

    Raises:
        Unreadable: the body has no recognisable rows.
    """
    known = frozenset(inputs)
    text = _body_kind(body, form) == envelope.CSV
    rows = _table(body, form.header, known) if text else _documents(body, _INPUT, "instances", known)
    if not rows:
        raise Unreadable(f"{_INPUT}: holds no row")
    if texts.iso_times is not None:
        rows = [_with_seconds(row, inputs, texts.iso_times) for row in rows]
    if texts.levels:
        rows = [_with_places(row, inputs, texts.levels, findings) for row in rows]
    found: list[Row] = []
    for row in rows:
        if type(row) is dict:
            event_id = _id(row.get(EVENT_ID)) if EVENT_ID not in known else None
            found.append((_named(row, inputs, known, findings, text=text), event_id))
        elif type(row) is list and len(row) == len(inputs):
            found.append((_values(row, inputs, findings, text=text), None))
        else:
            findings.add(decoded_rows.WIDTH, str(len(row)))
            found.append(([math.nan] * len(inputs), None))
    return found


def _with_seconds(row: Any, inputs: Sequence[str], iso_times: tuple[str, str]) -> Any:
    """The row with an ISO time as seconds since 1970; one that is no time stays, and is no number."""
    name, zone = iso_times
    place: Any = name if type(row) is dict else inputs.index(name)
    known = name in row if type(row) is dict else type(row) is list and len(row) == len(inputs)
    seconds = _iso_times(zone).seconds(row[place]) if known and type(row[place]) is str else None
    if seconds is None:
        return row
    changed = row.copy()
    changed[place] = seconds
    return changed


def _with_places(row: Any, inputs: Sequence[str], levels: Mapping[str, Levels], findings: SchemaFindings) -> Any:
    """The row with each category as the place of its level, NaN and a finding if it is none."""
    if type(row) is not dict and (type(row) is not list or len(row) != len(inputs)):
        return row
    changed = row.copy()
    for name, known in levels.items():
        place: Any = name if type(row) is dict else inputs.index(name)
        if type(row) is dict and name not in row:
            continue
        text = category_levels.text_of(row[place])
        if text is None:
            findings.add(decoded_rows.NOT_A_CATEGORY, name)
        changed[place] = math.nan if text is None else known.place(text)
    return changed


@functools.lru_cache(maxsize=16)
def _iso_times(zone: str) -> time_units.IsoTimes:
    return time_units.IsoTimes(zone)


def decode_answers(body: str, form: BodyFormat) -> list[Answer] | None:
    """The answers in a body; None if it is an error instead.

    Raises:
        Unreadable: the body has no recognisable answers.
    """
    if _body_kind(body, form) == envelope.CSV:
        rows: list[Any] = _answer_lines(body)
    else:
        rows = _documents(body, _OUTPUT, "predictions", frozenset(_ANSWER))
        if len(rows) == 1 and type(rows[0]) is dict and "error" in rows[0] and "score" not in rows[0]:
            return None
    if not rows:
        raise Unreadable(f"{_OUTPUT}: holds no answer")
    named = (row if type(row) is dict else {"score": row} for row in rows)
    return [
        (
            _score(row.get("score")),
            _decision(row.get("decision")),
            _id(row.get("model_version")),
            _id(row.get(EVENT_ID)),
        )
        for row in named
    ]


def _body_kind(body: str, form: BodyFormat) -> str:
    """The declared kind of the body, else the one that its first character suggests."""
    if form.kind != envelope.UNKNOWN:
        return form.kind
    return envelope.JSON if body.lstrip("\ufeff \t\r\n")[:1] in ("{", "[") else envelope.CSV


def _documents(body: str, where: str, key: str, known: frozenset[str]) -> list[Any]:
    """The rows of a JSON body: a list under `key`, a list, JSON lines, or a single row."""
    text = body.removeprefix("\ufeff").strip()
    try:
        found = _rows(_json(text), key, known)
    except ValueError:
        try:
            found = [row for line in text.split("\n") if line.strip() for row in _rows(_json(line), key, known)]
        except ValueError as error:
            raise Unreadable(f"{where}: not JSON") from error
    if not all(type(row) in (dict, list) for row in found) and where == _INPUT:
        raise Unreadable(f"{where}: rows are neither objects nor arrays")
    return found


def _rows(document: Any, key: str, known: frozenset[str]) -> list[Any]:
    if type(document) is dict and key in document and key not in known:
        document = document[key]
        if type(document) is not list:
            raise Unreadable(f"{key} is no list")
        return document
    if type(document) is not list:
        return [document]
    nested = any(type(item) in (dict, list) for item in document)
    return document if nested or not document or key == "predictions" else [document]


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        # Python's parser accepts NaN and Infinity, which other containers let through.
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError("nested too deep") from error


def _records(body: str, where: str) -> list[list[str]]:
    text = io.StringIO(body.removeprefix("\ufeff"), newline="")
    try:
        return [record for record in csv.reader(text, strict=True, skipinitialspace=True) if record]
    except csv.Error as error:
        raise Unreadable(f"{where}: not CSV") from error


def _table(body: str, header: bool | None, known: frozenset[str]) -> list[Any]:
    """CSV rows: lists without a header, objects by name with one."""
    records = _records(body, _INPUT)
    if not records:
        return []
    names = [name.strip() for name in records[0]]
    headed = not known.isdisjoint(names) or not any(map(_is_number, names))
    if header is False or (header is None and not headed):
        return records
    rows: list[Any] = []
    for record in records[1:]:
        # A row of another length than the header has neither names nor an order: a tuple counts as a wrong width.
        rows.append(dict(zip(names, record, strict=True)) if len(record) == len(names) else tuple(record))
    return rows


def _answer_lines(body: str) -> list[dict[str, str]]:
    records = _records(body, _OUTPUT)
    names: Sequence[str] = _ANSWER
    if records and not _is_number(records[0][0]):
        names, records = [name.strip() for name in records[0]], records[1:]
    return [dict(zip(names, record, strict=False)) for record in records]


def _named(
    row: dict[str, Any], inputs: Sequence[str], known: frozenset[str], findings: SchemaFindings, *, text: bool
) -> list[float]:
    for name in row.keys() - known:
        if name != EVENT_ID:
            findings.add(decoded_rows.UNEXPECTED, name[:128])
    for name in known - row.keys():
        findings.add(decoded_rows.MISSING, name)
    return _values([row.get(name) for name in inputs], inputs, findings, text=text)


def _values(row: list[Any], inputs: Sequence[str], findings: SchemaFindings, *, text: bool) -> list[float]:
    if not text and set(map(type, row)) == {float}:
        return row
    return [_value(item, name, findings, text=text) for item, name in zip(row, inputs, strict=True)]


def _value(item: Any, name: str, findings: SchemaFindings, *, text: bool) -> float:
    """A number as it is, nothing as NaN, anything else as NaN and a finding; in CSV (`text`) numbers are text."""
    if type(item) in (float, int):
        return _float(item)
    if item is None or (text and not item.strip()):
        return math.nan
    if text and _is_number(item):
        return float(item)
    findings.add(decoded_rows.NOT_A_NUMBER, name)
    return math.nan


def _float(item: float) -> float:
    try:
        return float(item)
    except OverflowError:
        return math.inf if item > 0 else -math.inf


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text.strip()) is not None


def _id(item: Any) -> str | None:
    return str(item) if item is not None and item != "" and type(item) in (str, int) else None


def _score(item: Any) -> float:
    if type(item) in (float, int):
        return _float(item)
    if type(item) is str and _is_number(item):
        return float(item)
    raise Unreadable(f"{_OUTPUT}: score is not a number")


def _decision(item: Any) -> int:
    """0 or 1 as this project's endpoints answer; -1 if another container returns none."""
    if type(item) is str and _is_number(item):
        item = float(item)
    return int(item) if type(item) in (int, float) and item in (0, 1) else -1
