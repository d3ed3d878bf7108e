"""The answers to one row: to the byte those of the general parser, which gets everything that is in doubt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving.one_row import OneRow

from ml.model.request_parser import RequestParser
from ml.model.scoring_responses import PayloadError
from ml.steps import inference
from tests.model.scoring_samples import ADAPTED, CATEGORIES, DOCUMENT, changed, rows, scorer

ROW = [3600.0, 0.5, -1.25, 9.99]
NAMED = dict(zip(DOCUMENT["inputs"], ROW, strict=True))


def model(document: dict[str, Any] = DOCUMENT) -> inference.Model:
    """A model that is version 0007."""
    made = scorer(document)
    return inference.Model(made, RequestParser.of(made.document), "0007")


MODEL, ADAPTED_MODEL = model(), model(ADAPTED)


def general(body: bytes, kind: str, of: inference.Model = MODEL) -> bytes | None:
    """The general parser's answer; None if it refuses the request."""
    try:
        return inference.score_request(of, body, kind, None)[0]
    except PayloadError:
        return None


@pytest.mark.parametrize("of", [MODEL, ADAPTED_MODEL], ids=["one part", "two parts"])
def test_answers_equal_those_of_the_general_parser(of: inference.Model) -> None:
    """Every form of a valid row gives the same bytes."""
    one = OneRow(of)
    for row in rows(200).tolist():
        line = ",".join(map(repr, row)).encode()
        for body in (line, line + b"\n", b" " + line.replace(b",", b", ")):
            assert one.answer_csv(body) == general(body, "text/csv", of) is not None
        named = dict(zip(of.parser.inputs, row, strict=True))
        for document in (
            row,
            [row],
            named,
            [named],
            {"instances": [row]},
            {"instances": [{"event_id": 'a"é', **named}]},
        ):
            body = json.dumps(document).encode()
            assert one.answer_json(body) == general(body, "application/json", of) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"1,2,3",
        b"1,2,3,4,5",
        b"1,2,nan,4",
        b"1,2,inf,4",
        b"1e999,2,3,4",
        b"1,2,3,-4",
        b"1,2,3,1_0",
        b"1,2,3,4\n1,2,3,4",
        b"\n1,2,3,4",
        b"1,2,3\r,4",
        b'"1",2,3,4',
        b"Time,V1,V2,Amount",
        "1,2,3,\u0664".encode(),
        b"1,2,3,4." + b"0" * 200_000,
        b"\xff",
    ],
)
def test_csv_in_doubt_is_left_to_the_general_parser(body: bytes) -> None:
    """What is no single line of plain, finite numbers is not answered here."""
    assert OneRow(MODEL).answer_csv(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[1,2,3]",
        b"[[1,2,3,4],[1,2,3,4]]",
        b"[1,2,3,true]",
        b"[1,2,3,null]",
        b'[1,2,3,"4"]',
        b"[1,2,3,-4]",
        b"[1,2,3,NaN]",
        b"[1,2,3,[4]]",
        b'{"instances":[[1,2,3,4]],"more":1}',
        b'{"instances":[[1,2,3,4],[1,2,3,4]]}',
        b'{"instances":{"Time":1}}',
        b'{"instances":[1,2,3,4]}',
        b"[1,2,3,4" + b" " * 200_000 + b"]",
        b'{"Time":1,"V1":2,"V2":3}',
        b'{"Time":1,"V1":2,"V2":3,"V3":3}',
        b'{"Time":1,"V1":2,"V2":3,"Amount":4,"Amount":5}',
        b'{"Time":1,"V1":2,"V2":3,"Amount":4,"event_id":"a:b"}',
        b'{"Time":1,"V1":2,"V2":3,"Amount":4,"event_id":7}',
        b'{"Time":1,"V1":2,"V2":3,"Amount":4,"event_id":null}',
        b'{"Time":1,"V1":2,"V2":3,"Amount":4,"event_id":""}',
    ],
)
def test_json_in_doubt_is_left_to_the_general_parser(body: bytes) -> None:
    """Nor is a repeated key, of which a JSON parser would keep the last."""
    assert OneRow(MODEL).answer_json(body) is None


@given(st.lists(st.one_of(st.floats().map(repr), st.integers().map(str), st.text(max_size=6)), min_size=3, max_size=5))
def test_any_csv_is_answered_as_by_the_general_parser(fields: list[str]) -> None:
    """Whatever is answered here is what the general parser answers; nothing that it refuses is answered."""
    body = ",".join(fields).encode("utf-8", "replace")
    answer = OneRow(MODEL).answer_csv(body)
    assert answer is None or answer == general(body, "text/csv")


NUMBER = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**25), 10**25))
VALUE = st.one_of(NUMBER, st.none(), st.booleans(), st.text(max_size=4))


@given(st.lists(VALUE, min_size=4, max_size=4), st.one_of(st.none(), st.text(max_size=5)), st.booleans())
def test_any_json_is_answered_as_by_the_general_parser(values: list[Any], event_id: str | None, wrapped: bool) -> None:
    """Integers beyond 64 bits, characters of every kind in ids, and values of other types included."""
    row = dict(zip(MODEL.parser.inputs, values, strict=True)) | ({} if event_id is None else {"event_id": event_id})
    body = json.dumps({"instances": [row]} if wrapped else row).encode()
    answer = OneRow(MODEL).answer_json(body)
    assert answer is None or answer == general(body, "application/json")


def test_other_layouts_are_left_to_the_general_parser() -> None:
    """Categories, ISO times, and inputs whose names are numbers or those of JSON fields."""
    assert not OneRow(model(CATEGORIES)).csv
    assert not OneRow(model(changed("time.unit", "iso"))).json
    assert OneRow(MODEL).csv
    assert OneRow(MODEL).json
    text = json.dumps(DOCUMENT)
    assert not OneRow(model(json.loads(text.replace('"V1"', '"1"')))).csv
    assert not OneRow(model(json.loads(text.replace('"V1"', '"instances"')))).json
