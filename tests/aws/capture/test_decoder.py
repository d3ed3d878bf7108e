"""Decoding captured bodies in batches: it gives the same rows, findings and errors as decoding one by one."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.aws.capture import column_decoder, record_decoder
from ml.aws.capture.captured_lines import Block, CapturedObject
from ml.aws.capture.decoder import DecodedGroup, decode
from ml.aws.capture.duckdb_json import NotUniform
from ml.aws.capture.text_inputs import TextInputs
from ml.model.category_levels import Levels
from tests.aws.capture import captured_lines
from tests.aws.capture.captured_lines import INPUTS, line
from tests.harness.fuzzing import examples

SOURCE = CapturedObject(
    key="capture/e/v/2026/03/01/12/a.jsonl", bytes=1, etag="", hour=datetime(2026, 3, 1, 12, tzinfo=UTC)
)
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"

number = st.one_of(st.floats(), st.integers(-(10**20), 10**20), st.just(0.0), st.just(1))
odd: st.SearchStrategy[Any] = st.sampled_from([None, True, False, "1.5", "x", "", [], {}, ":", '"', "tf"])
value = st.one_of(number, number, number, odd)
text_id = st.one_of(st.none(), st.text(min_size=1, max_size=6), st.integers(0, 99))
row_object = st.one_of(
    st.fixed_dictionaries(dict.fromkeys(INPUTS, number)),
    st.fixed_dictionaries(dict.fromkeys(INPUTS, number)),
    st.fixed_dictionaries(dict.fromkeys(INPUTS, value), optional={"event_id": text_id, "V9": value}),
    st.dictionaries(st.sampled_from([*INPUTS, "event_id", "V9"]), value, max_size=6),
)
row = st.one_of(row_object, row_object, st.lists(value, min_size=3, max_size=5))
field = st.one_of(
    number.map(repr), st.sampled_from(["", " 1", "nan", "+1", "1_0", "abc", '"2"', "0x10", "-", "1e999", " "])
)


@st.composite
def request_body(draw: st.DrawFn) -> tuple[str, str, int]:
    """A body, its content type, and about how many rows it has."""
    rows = draw(st.lists(row, min_size=1, max_size=3))
    how = draw(st.integers(0, 6))
    dumped = [json.dumps(item) for item in rows]
    if how == 0:
        more = draw(st.sampled_from([{}, {}, {"calibrated": True}]))
        first = draw(st.sampled_from([{}, {"calibrated": False}]))
        return json.dumps(first | {"instances": rows} | more), JSON, len(rows)
    if how == 1:
        return json.dumps(rows, separators=(",", ":")), JSON, len(rows)
    if how == 2:
        return "\n".join(dumped), LINES, len(rows)
    if how == 3:
        return dumped[0], JSON, 1
    if how == 4:
        return draw(st.text(max_size=12)), draw(st.sampled_from([CSV, JSON, LINES, "text/plain"])), 1
    width = draw(st.sampled_from([4, 4, 4, 3, 5]))
    lines = [",".join(draw(st.lists(field, min_size=width, max_size=width))) for _ in rows]
    if how == 5:
        names = draw(st.permutations([*INPUTS, "event_id"]))
        lines.insert(0, ",".join(names[:width]))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"])), CSV, len(rows)


@st.composite
def captured(draw: st.DrawFn) -> bytes:
    """A captured line, usually a valid one."""
    body, kind, rows = draw(request_body())
    scores = draw(st.lists(st.floats(0, 1), min_size=rows, max_size=rows))
    answer = draw(st.sampled_from(["json", "json", "csv", "csv", "none", "text", "strange"]))
    answers = {
        "json": (captured_lines.predictions(scores), JSON),
        "csv": (captured_lines.answer_csv(scores), CSV),
        "none": None,
        "text": (draw(st.text(max_size=9)), draw(st.sampled_from([CSV, JSON]))),
        "strange": (json.dumps({"predictions": [{"score": draw(value), "decision": draw(value)}]}), JSON),
    }
    return line(
        (body, kind), answers[answer], plain=draw(st.booleans()), inference_id=draw(st.sampled_from(["r", None]))
    )


def rows_of(decoded: DecodedGroup) -> list[Any]:
    """Every row of every part, sorted."""
    found = []
    for part in decoded.parts:
        for place in range(len(part)):
            values = None if part.inputs is None else part.inputs[place].tolist()
            found.append(
                (
                    values and [None if math.isnan(item) else item for item in values],
                    None if math.isnan(part.scores[place]) else part.scores[place],
                    int(part.decisions[place]),
                    part.event_ids[place].as_py(),
                    part.versions[place].as_py(),
                    part.times[place].item(),
                )
            )
    return sorted(found, key=repr)


def read(lines: list[bytes]) -> tuple[list[Any], list[Any], Any]:
    """Rows, unreadable lines, and findings."""
    block = Block(source=SOURCE, first=1, data=b"\n".join(lines))
    decoded = decode([block], INPUTS, 0, 1 << 62)
    return rows_of(decoded), sorted((item.number, item.reason) for item in decoded.unread), decoded.findings.schema


@examples(150)
@given(st.lists(captured(), min_size=1, max_size=6), st.booleans())
def test_column_decoder_agrees_with_record_decoder(lines: list[bytes], many: bool) -> None:
    """Rows, ids, scores, findings and reasons are the same by columns and by records."""
    lines = lines * 12 if many else lines
    together = read(lines)

    def never(*arguments: Any) -> Any:
        raise NotUniform

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_decoder, "decode_inputs", never)
        patch.setattr(column_decoder, "decode_answers", never)
        assert read(lines) == together


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("requests", [1, 200])
@pytest.mark.parametrize("key", ["calibrated", "explain"])
def test_requests_with_more_answers_are_read_as_others(requests: int, separators: tuple[str, str], key: str) -> None:
    """Neither the key in the request nor fraud rate and reasons in the answer change rows, scores or findings."""
    instances = captured_lines.named([[1.0, 0.5, 1.0, 2.0], [2.0, 0.5, 1.5, 3.0]], ids=["a", "b"])
    answered = captured_lines.predictions([0.25, 0.75], ids=["a", "b"])
    calibrated = json.loads(answered)
    for each in calibrated["predictions"]:
        each["fraud_rate"] = 0.125
        if key == "explain":
            reasons = [{"input": "V1", "value": 0.5, "log_odds": 1.5, "from": None, "to": 2.0}]
            part = {"pattern": "known", "log_odds": -1.0, "intercept": -2.5, "reasons": reasons}
            each["explanation"] = {"pattern": "known", "parts": [part]}
    asked = [{"instances": instances}, {"instances": instances, key: True}]
    bodies = [json.dumps(each, separators=separators) for each in asked]
    answers = [answered, json.dumps(calibrated, separators=separators)]
    plain, more, mixed = (
        read([line((body, JSON), (answer, JSON)) for body, answer in pairs])
        for pairs in (
            [(bodies[0], answers[0])] * requests,
            [(bodies[1], answers[1])] * requests,
            [(bodies[place % 2], answers[place % 2]) for place in range(requests)],
        )
    )
    assert plain == more == mixed
    assert len(plain[0]) == 2 * requests
    assert not plain[1]
    assert not plain[2]


@pytest.mark.parametrize("name", ["Amount", "\\u0041mount"])
def test_number_in_quotes_is_a_finding(name: str) -> None:
    """DuckDB would read it as a number, also below an escaped name; an integer event id hides the extra string."""
    body = f'{{"instances":[{{"Time":0.0,"V1":0.0,"V2":0.0,"{name}":"1.5","event_id":0}}]}}'
    rows, unread, findings = read([line((body, JSON), (captured_lines.predictions([0.0]), JSON))])
    assert [row[0] for row in rows] == [[0.0, 0.0, 0.0, None]]
    assert not unread
    assert findings


@pytest.mark.parametrize("kind", [CSV, JSON, LINES])
def test_iso_times_become_seconds_both_ways(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times as text are read by columns and by records alike; one that is no time is a finding and missing."""
    texts = ["2026-03-01T07:00:00.25", "2026-03-01T06:00:00.25Z"]
    rows: list[list[Any]] = [[text, 0.5, 1.0, 2.0] for text in texts]
    bodies = {
        CSV: "\n".join(",".join(map(str, row)) for row in rows),
        JSON: json.dumps({"instances": captured_lines.named(rows, ids=["a", "b"])}),
        LINES: "\n".join(map(json.dumps, captured_lines.named(rows))),
    }
    answer = captured_lines.predictions([0.5, 0.5]), JSON
    block = Block(source=SOURCE, first=1, data=line((bodies[kind], kind), answer))

    def never(*arguments: Any) -> Any:
        raise NotUniform

    for _ in range(2):
        decoded = decode([block], INPUTS, 0, 1 << 62, TextInputs(iso_times=("Time", "Europe/Berlin")))
        assert [row[0] for row in rows_of(decoded)] == [[1772344800.25, 0.5, 1.0, 2.0]] * 2
        assert not decoded.findings.schema
        monkeypatch.setattr(column_decoder, "decode_inputs", never)
    block = Block(source=SOURCE, first=1, data=line((bodies[kind].replace(texts[0], "soon"), kind), answer))
    decoded = decode([block], INPUTS, 0, 1 << 62, TextInputs(iso_times=("Time", "Europe/Berlin")))
    assert sorted(str(row[0][0]) for row in rows_of(decoded)) == ["1772344800.25", "None"]
    assert dict(decoded.findings.schema) == {("not a number", "Time"): 1}


SHOPS = TextInputs(levels={"Amount": Levels(["", "5411", "a:b", "food", "Süßes", "true"])})
shop_value: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["", "food", " food ", "a:b", "Süßes", "5411", "unseen", "a: t", 'say "hi"', "a,b", "x" * 129]),
    st.sampled_from([None, 5411, True, 1.5, [], {}]),
    st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=6),
)


def _row(shop: Any) -> list[Any]:
    return [0.5, 1.0, 2.0, shop]


@st.composite
def captured_category(draw: st.DrawFn) -> bytes:
    """A captured line of one of the formats whose last column is a category, usually a valid one."""
    shops = draw(st.lists(shop_value, min_size=1, max_size=3))
    rows = [[0.5, 1.0, 2.0, shop] for shop in shops]
    kind = draw(st.sampled_from([CSV, JSON, LINES]))
    ascii_only = draw(st.booleans())
    if kind == CSV:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(
            [*row[:3], row[3] if isinstance(row[3], str | int) else ""] for row in rows
        )
        body = text.getvalue()
    else:
        named = captured_lines.named(rows)
        if draw(st.sampled_from([False, False, True])):
            del named[0]["Amount"]
        dumped = [json.dumps(item, ensure_ascii=ascii_only) for item in named]
        body = f'{{"instances":[{",".join(dumped)}]}}' if kind == JSON else "\n".join(dumped)
    return line((body, kind), (captured_lines.predictions([0.5] * len(rows)), JSON), plain=draw(st.booleans()))


@examples(150)
@given(st.lists(captured_category(), min_size=1, max_size=4), st.booleans())
def test_categories_have_the_same_places_both_ways(lines: list[bytes], many: bool) -> None:
    """By columns and by records: places, missing values and findings are the same, whatever the text holds."""
    lines = lines * 12 if many else lines
    block = Block(source=SOURCE, first=1, data=b"\n".join(lines))

    def found() -> Any:
        decoded = decode([block], INPUTS, 0, 1 << 62, SHOPS)
        return rows_of(decoded), sorted((item.number, item.reason) for item in decoded.unread), decoded.findings.schema

    def never(*arguments: Any) -> Any:
        raise NotUniform

    together = found()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_decoder, "decode_inputs", never)
        assert found() == together


@pytest.mark.parametrize("text", ["\x85", "\u2028", "\u2029", "\x1c"])
def test_text_with_another_line_separator_is_one_row(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """JSON lines end with a line feed, as the endpoint reads them; other separators are text."""
    rows = captured_lines.named([_row("food"), _row(f"a{text}b")])
    body = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)

    def never(*arguments: Any) -> Any:
        raise NotUniform

    monkeypatch.setattr(column_decoder, "decode_inputs", never)
    block = Block(
        source=SOURCE, first=1, data=line((body, LINES), (captured_lines.predictions([0.5] * len(rows)), JSON))
    )
    decoded = decode([block], INPUTS, 0, 1 << 62, SHOPS)
    assert len(rows_of(decoded)) == 2
    assert list(decoded.unread) == []


def test_category_is_counted_by_its_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """A level has its place, any other text the last one; what is no category is missing, with a finding."""
    shops: list[Any] = ["food", " food", None, 5411, "unseen", 1.5, []]
    rows = captured_lines.named([_row(shop) for shop in shops])
    body = json.dumps({"instances": rows}), JSON
    block = Block(source=SOURCE, first=1, data=line(body, (captured_lines.predictions([0.5] * len(rows)), JSON)))
    decoded = decode([block], INPUTS, 0, 1 << 62, SHOPS)
    places = [row[0][3] for row in rows_of(decoded)]
    assert sorted(places, key=str) == [0.0, 1.0, 3.0, 3.0, 6.0, None, None]
    assert dict(decoded.findings.schema) == {("not a category", "Amount"): 2}

    def decode_one_by_one(*arguments: Any) -> Any:
        raise AssertionError("decoded one by one")

    monkeypatch.setattr(record_decoder, "decode_inputs", decode_one_by_one)
    for texts in (["food", "a:b", "", "unseen"], ["food", " 5411 "]):  # the fast path takes ordinary text
        rows = captured_lines.named([_row(shop) for shop in texts])
        body = json.dumps({"instances": rows}), JSON
        block = Block(source=SOURCE, first=1, data=line(body, (captured_lines.predictions([0.5] * len(rows)), JSON)))
        places = [row[0][3] for row in rows_of(decode([block], INPUTS, 0, 1 << 62, SHOPS))]
        assert sorted(places) == sorted(SHOPS.levels["Amount"].places(text.strip() for text in texts))


MOMENTS = ("12:00:01Z", "12:00:00.5Z", "12:00:00+00:00", "14:00:00+02:00", "12:00:60Z", "noon")
IRREGULAR: dict[str, list[str | None]] = {
    "inferenceId": ["smoke-1", "smoke-", "", None, "a#b", "é", "\u2028"],
    "inferenceTime": [*(f"2026-03-01T{moment}" for moment in MOMENTS), "2026-03-01 12:00:01Z", "", None],
    "observedContentType": [None, "", "text/csv; header=present", "text/csv;header=absent", "APPLICATION/JSON"],
    "encoding": [None, "", "BASE64", "base64", "JSON"],
    "data": ["", " ", "\ufeff1,2,3,4", "\0", "1,2,3,4\n5,6,7,8", "MSwyLDMsNA", "MSwyLDMsNA==", "/w=="],
}


@st.composite
def odd_line(draw: st.DrawFn) -> bytes:
    """A line with a field missing, new or unusual, as far as the schema of data capture allows, or an invalid line."""
    content = json.loads(draw(captured()))
    name = draw(st.sampled_from(sorted(IRREGULAR)))
    some = [content["eventMetadata"]] if name.startswith("inference") else list(content["captureData"].values())
    for part in some[: draw(st.integers(1, 2))]:
        part[name] = draw(st.sampled_from(IRREGULAR[name]))
        if draw(st.booleans()) and name != "data":
            del part[name]
    whole = json.dumps(content, ensure_ascii=draw(st.booleans())).encode()
    broken = [b"", b"  ", b" " * 20, b"\xff", b"{}", b"[]", b"5", whole[:-1], whole + whole, b" " + whole + b"\r"]
    return draw(st.sampled_from([whole] * 20 + broken))


@examples(150)
@given(st.lists(odd_line(), min_size=1, max_size=4), st.booleans())
def test_envelope_batch_agrees_with_envelope_decoder(lines: list[bytes], alike: bool) -> None:
    """Both give the same rows, times, ids, unreadable lines and reasons, whatever a line lacks or adds."""
    lines = lines[:1] * 3 if alike else lines
    together = read(lines)

    def never(*arguments: Any) -> Any:
        raise NotUniform

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ml.aws.capture.decoder.decode_envelopes", never)
        assert read(lines) == together


@pytest.mark.parametrize("kind", [CSV, JSON, LINES])
@pytest.mark.parametrize("rows", [1, 3])
def test_uniform_bodies_take_the_fast_path(kind: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The formats that this project's clients send never reach the record decoder."""
    values = [[float(place), 0.1 + place, -2.5e-7, 10.0] for place in range(rows)]
    bodies = {
        CSV: captured_lines.csv_rows(values),
        JSON: json.dumps({"instances": captured_lines.named(values, ids=[f"id-{n}" for n in range(rows)])}),
        LINES: "\n".join(map(json.dumps, captured_lines.named(values))),
    }
    answer = (
        (captured_lines.predictions([0.5] * rows), JSON)
        if kind != CSV
        else (captured_lines.answer_csv([0.5] * rows), CSV)
    )

    def never(*arguments: Any) -> Any:
        raise AssertionError("the slow way")

    monkeypatch.setattr("ml.aws.capture.record_decoder.decode_inputs", never)
    monkeypatch.setattr("ml.aws.capture.record_decoder.decode_answers", never)
    for plain in (True, False):
        found, unread, findings = read([line((bodies[kind], kind), answer, plain=plain)] * 50)
        assert [len(found), unread, len(findings)] == [50 * rows, [], 0]


def test_findings_are_bounded() -> None:
    """Column names beyond a thousand are counted together, so that a client cannot fill the memory."""
    whole = dict.fromkeys(INPUTS, 1.0)
    bodies = [json.dumps({"instances": [whole | {f"made-up-{n}": 1}]}) for n in range(1500)]
    answer = (captured_lines.predictions([0.5]), JSON)
    rows, _, findings = read([line((body, JSON), answer) for body in bodies])
    assert (len(rows), len(findings), sum(findings.values())) == (1500, 1001, 1500)


def test_inputs_are_contiguous_by_column() -> None:
    """Inputs are stored column by column, because statistics are computed by column."""
    block = Block(source=SOURCE, first=1, data=line((captured_lines.csv_rows([[1.0, 2.0, 3.0, 4.0]] * 9), CSV), None))
    (part,) = decode([block], INPUTS, 0, 1 << 62).parts
    assert part.inputs is not None and part.inputs.flags.f_contiguous
    assert part.inputs.dtype == np.float64
    assert pa.types.is_string(part.event_ids.type)
