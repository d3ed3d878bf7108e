"""Tests of parsing scoring requests."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model import scoring_responses
from ml.model.category_levels import Levels
from ml.model.request_parser import Batch, RequestParser
from ml.model.scoring_responses import CSV, JSON, JSONLINES, MAX_BODY, MAX_ROWS, PayloadError
from tests.harness.fuzzing import examples

PARSER = RequestParser(("Time", "V1", "V2", "Amount"), "Amount")
ROW = [3600.0, 0.5, -1.25, 9.99]
NAMED = dict(zip(PARSER.inputs, ROW, strict=True))
SHUFFLED = dict(reversed(NAMED.items()))
LINE = "3600.0,0.5,-1.25,9.99"


def parse(body: Any, kind: str | None = JSON) -> Batch:
    """Parses `body`; values other than text and bytes are dumped as JSON first."""
    return PARSER.parse(body if isinstance(body, str | bytes) else json.dumps(body), kind)


def rejection(body: Any, kind: str | None = JSON) -> PayloadError:
    """The PayloadError of `body`."""
    with pytest.raises(PayloadError) as caught:
        parse(body, kind)
    return caught.value


ISO = RequestParser(("at", "V1"), None, ("at", "Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-01T07:00:00.25", 1772344800.25),
        ("2026-03-01T06:00:00.25Z", 1772344800.25),
        ("2026-10-25T02:30:00", 1792891800.0),
    ],
)
def test_iso_times_become_seconds(text: str, seconds: float) -> None:
    """In each format; a local time is that of the model's zone, the later one where the clock shows it twice."""
    for body, kind in (
        (json.dumps({"instances": [{"V1": 1, "at": text}]}), JSON),
        (json.dumps([text, 1]), JSONLINES),
        (f"{text},1\n", CSV),
        (f"V1,at\n1,{text}\n", CSV),
    ):
        assert ISO.parse(body, kind).rows == [[seconds, 1.0]]


@pytest.mark.parametrize("value", ["soon", "2026-02-30", 1772344800, None, ""])
def test_value_that_is_no_iso_time_is_refused(value: Any) -> None:
    """The error names the column and shows the form, in JSON and in CSV."""
    bodies = [(json.dumps([[value, 1]]), JSON)] + ([(f"{value},1\n", CSV)] if value else [])
    for body, kind in bodies:
        with pytest.raises(PayloadError) as caught:
            ISO.parse(body, kind)
        assert (caught.value.status, caught.value.column) == (400, "at")
        assert caught.value.expected == "an ISO 8601 time, as 2026-03-01T06:00:00Z"


SHOPS = Levels(["", "food", "gas_station", "Süßes", 'say "hi", twice'])
SHOP = RequestParser(("V1", "Amount", "shop"), "Amount", None, {"shop": SHOPS})


@settings(deadline=None)
@given(st.one_of(st.sampled_from(SHOPS.levels), st.text(st.characters(codec="utf-8"), max_size=12)))
def test_categories_become_places(text: str) -> None:
    """In each format, with and without names; a value that is no level has the last place."""
    place = SHOPS.place(text.strip(" "))
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow([1.5, 2, text])
    named = io.StringIO(newline="")
    csv.writer(named, lineterminator="\n").writerow([text, 2, 1.5])
    bodies = [
        (json.dumps({"instances": [{"shop": text, "V1": 1.5, "Amount": 2}]}), JSON),
        (json.dumps([1.5, 2, text], ensure_ascii=False), JSONLINES),
    ]
    if not {"\0", "\r"} & {*text}:  # csv.writer does not quote them
        bodies += [(line.getvalue(), CSV), (f"shop,Amount,V1\n{named.getvalue()}", CSV)]
    for body, kind in bodies:
        assert SHOP.parse(body.encode(), kind).rows == [[1.5, 2.0, place]]


@pytest.mark.parametrize(("value", "text"), [(None, ""), (5411, "5411"), (True, "true")])
def test_category_may_be_missing_or_no_text(value: Any, text: str) -> None:
    """Null is the empty text; whole numbers and booleans are what they are in a data file."""
    parser = RequestParser(("V1", "shop"), None, None, {"shop": Levels(sorted({text, "a", "b"}))})
    assert parser.parse(json.dumps([[1, value]]), JSON).rows == parser.parse(json.dumps([[1, text]]), JSON).rows
    assert parser.parse(json.dumps([[1, value]]), JSON).rows[0][1] < 3


@pytest.mark.parametrize("value", [1.5, [1], {"a": 1}, "x" * 129])
def test_value_that_is_no_category_is_refused(value: Any) -> None:
    """The error names row, column and value, and says what it must be."""
    with pytest.raises(PayloadError) as caught:
        SHOP.parse(json.dumps({"instances": [[1, 2, "food"], [1, 2, value]]}), JSON)
    error = caught.value
    assert (error.status, error.row, error.column) == (400, 2, "shop")
    assert error.expected == "text of at most 128 characters, a whole number, true, false or null"


def test_text_where_a_number_belongs_is_refused() -> None:
    """A category does not loosen the rule for numbers, also where its text keeps CSV from the fast path."""
    for body, kind in (("food,2,gas_station\n", CSV), ("1_0,2,gas_station\n", CSV), ('[["1", 2, "food"]]', JSON)):
        with pytest.raises(PayloadError) as caught:
            SHOP.parse(body, kind)
        assert (caught.value.row, caught.value.column, caught.value.expected) == (1, "V1", "a finite number")


def test_amount_is_optional() -> None:
    """Without an amount no column has a lowest value."""
    assert RequestParser(("V1", "V2"), None).parse("[-1, -2]", JSON).rows == [[-1.0, -2.0]]


@pytest.mark.timeout(60)  # seconds are enough for linear time; in quadratic time each takes hours
@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (",".join(f"n{index}" for index in range(750_000)), CSV, "is not a column of this model"),
        ("{" + ",".join(f'"{index}":1' for index in range(450_000)) + ',"0":1}', JSON, "each column once"),
        (("1" * 131_000 + "x,") * 40, CSV, "each column once"),
        ("1,2,3," + "1" * 131_000 + "x", CSV, "must be a finite number"),
        ("1,2,3,1." + "1" * 131_000 + "x", CSV, "must be a finite number"),
    ],
    ids=["header", "keys", "fields", "digits", "decimals"],
)
def test_large_hostile_body_is_rejected_in_linear_time(body: str, kind: str, message: str) -> None:
    """A body near the limit with many names or long numbers is refused, and does not occupy the server."""
    assert len(body) <= MAX_BODY
    assert message in str(rejection(body, kind))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("1,2,3,4\n" * (MAX_ROWS + 1), CSV),
        ("Time,V1,V2,Amount\n" + "1,2,3,4\n" * (MAX_ROWS + 1), CSV),
        ("[" + ",".join(["[1,2,3,4]"] * (MAX_ROWS + 1)) + "]", JSON),
        ("[1,2,3,4]\n" * (MAX_ROWS + 1), JSONLINES),
    ],
)
def test_more_rows_than_one_answer_may_hold_are_rejected(body: str, kind: str) -> None:
    """One row more than MAX_ROWS is 413 and the message says what to do; MAX_ROWS rows are parsed."""
    error = rejection(body, kind)
    assert (error.status, error.expected) == (413, f"at most {MAX_ROWS} rows")
    assert "send more rows in several requests" in str(error)
    without_one = body.replace("[1,2,3,4],", "", 1) if kind == JSON else body[: body.rstrip().rfind("\n") + 1]
    assert len(parse(without_one, kind).rows) == MAX_ROWS


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (LINE, CSV),
        (LINE + "\n", "text/csv; charset=utf-8"),
        (LINE + "\r\n\r\n", "TEXT/CSV;charset=UTF-8"),
        ("\ufeff" + LINE, CSV),
        (LINE.encode(), CSV),
        (b"\xef\xbb\xbf" + LINE.encode(), CSV),
        (' 3600 , "0.5",-1.25 ,9.99', CSV),
        ("3.6e3,+.5,-125e-2,9.99", CSV),
        (f"Time,V1,V2,Amount\n{LINE}", CSV),
        (f"Time, V1, V2, Amount\r\n{LINE}\r\n", CSV),
        ("Amount,V2,V1,Time\n9.99,-1.25,0.5,3600", CSV),
        (LINE, "text/csv; header=absent"),
        ("Amount,V2,V1,Time\n9.99,-1.25,0.5,3600", "text/csv; header=present"),
        (ROW, JSON),
        ([ROW], JSON),
        (NAMED, JSON),
        (SHUFFLED, JSON),
        ([SHUFFLED], JSON),
        ({"instances": [ROW]}, JSON),
        ({"instances": [SHUFFLED]}, "application/json; charset=utf-8"),
        (ROW, None),
        (ROW, ""),
        (ROW, JSONLINES),
        (json.dumps(SHUFFLED) + "\n", JSONLINES),
        (json.dumps(SHUFFLED) + "\r\n\r\n", "application/jsonlines;charset=utf-8"),
    ],
)
def test_parse_reads_one_row_in_every_form(body: Any, kind: str | None) -> None:
    """CSV with or without header, JSON and JSON lines, named or in order, give the same row."""
    assert parse(body, kind) == Batch([ROW], None)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (f"{LINE}\n{LINE}", CSV),
        (f"Time,V1,V2,Amount\n{LINE}\n{LINE}\n", CSV),
        ([ROW, SHUFFLED], JSON),
        ({"instances": [NAMED, ROW]}, JSON),
        (f"{json.dumps(ROW)}\n{json.dumps(NAMED)}\n", JSONLINES),
    ],
)
def test_parse_reads_many_rows_in_every_form(body: Any, kind: str) -> None:
    """Each type takes many rows; JSON types may mix named rows and rows in order."""
    assert parse(body, kind) == Batch([ROW, ROW], None)


@pytest.mark.parametrize(
    ("body", "kind", "ids"),
    [
        (f"event_id,Time,V1,V2,Amount\na-1,{LINE}\n,{LINE}", CSV, ["a-1", None]),
        ('V1,event_id,Time,V2,Amount\n0.5,"x, ""y""",3600,-1.25,9.99\n0.5,2,3600,-1.25,9.99', CSV, ['x, "y"', "2"]),
        ([NAMED | {"event_id": "é1"}, NAMED], JSON, ["é1", None]),
        ([NAMED | {"event_id": 7}, NAMED | {"event_id": None}], JSON, ["7", None]),
        (f"{json.dumps(NAMED | {'event_id': 'z'})}\n{json.dumps(ROW)}", JSONLINES, ["z", None]),
        ([NAMED | {"event_id": None}, NAMED], JSON, None),
    ],
)
def test_parse_keeps_event_ids_apart_from_features(body: Any, kind: str, ids: list[str | None] | None) -> None:
    """event_id is optional per row and never a feature; without any id there are none."""
    assert parse(body, kind) == Batch([ROW, ROW], ids)


def test_parse_accepts_an_input_named_event_id() -> None:
    """If event_id is an input of the model, it is read as one."""
    parser = RequestParser(("event_id", "Amount"), "Amount")
    assert parser.parse('{"event_id": 3, "Amount": 4}', JSON) == Batch([[3.0, 4.0]], None)


def test_parse_accepts_other_column_names() -> None:
    """A model with one input of another name and without time works."""
    parser = RequestParser(("betrag",), "betrag")
    assert parser.parse("betrag\n1\n2", CSV).rows == [[1.0], [2.0]]
    assert parser.parse("[[1], [2]]", JSON).rows == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("body", "kind", "status", "row", "column", "value", "expected"),
    [
        ("", CSV, 400, None, None, None, "at least one row"),
        (" \r\n ", CSV, 400, None, None, None, "at least one row"),
        (b"", JSON, 400, None, None, None, "at least one row"),
        ("[]", JSON, 400, None, None, None, "at least one row"),
        ('{"instances": []}', JSON, 400, None, None, None, "at least one row"),
        ("Time,V1,V2,Amount\n", CSV, 400, None, None, None, "at least one row"),
        ("1,2,3", CSV, 400, 1, None, "3", "4 columns: Time, V1, V2, Amount"),
        (f"{LINE}\n{LINE},5", CSV, 400, 2, None, "5", "4 columns: Time, V1, V2, Amount"),
        (f"{LINE}\n\n{LINE}", CSV, 400, 2, None, "", "4 columns, not an empty line"),
        ("1;2;3;4", CSV, 400, None, "1;2;3;4", None, None),
        ("1,abc,3,4", CSV, 400, 1, "V1", "abc", "a finite number"),
        ("1,,3,4", CSV, 400, 1, "V1", "", "a finite number"),
        ("1,nan,3,4", CSV, 400, 1, "V1", "nan", "a finite number"),
        ("1,2,-inf,4", CSV, 400, 1, "V2", "-inf", "a finite number"),
        ("1,2,1e999,4", CSV, 400, 1, "V2", "1e999", "a finite number"),
        ("1,2,1_0,4", CSV, 400, 1, "V2", "1_0", "a finite number"),
        ("1,2,١,4", CSV, 400, 1, "V2", "١", "a finite number"),
        ("1,2,0x10,4", CSV, 400, 1, "V2", "0x10", "a finite number"),
        ("1,2,3,-0.01", CSV, 400, 1, "Amount", "-0.01", "a number of at least 0"),
        ('1,2,3,"4', CSV, 400, 1, None, None, "CSV as in RFC 4180"),
        (f"Time,V1,V2,V3\n{LINE}", CSV, 400, None, "V3", None, None),
        (f"Time,V1,V2\n{LINE}", CSV, 400, None, "Amount", None, None),
        (f"Time,V1,V1,Amount\n{LINE}", CSV, 400, None, "V1", "V1", "each column once"),
        (f"Time,V1,V2,Amount,Class\n{LINE},0", CSV, 400, None, "Class", None, None),
        (LINE, "text/csv; header=present", 400, None, "3600.0", None, None),
        (f"Time,V1,V2,Amount\n{LINE}", "text/csv; header=absent", 400, 1, "Time", "Time", "a finite number"),
        (b"1,2,3,4\xff", CSV, 400, None, None, None, "UTF-8"),
        ("1,2,3,4\ufffd", CSV, 400, None, None, None, "UTF-8"),
        ("1,2,3,4".encode("utf-16"), CSV, 400, None, None, None, "UTF-8"),
        ("{", JSON, 400, None, None, None, "JSON"),
        ("[1,2,NaN,4]", JSON, 400, None, None, "NaN", "a finite number"),
        ("[1,2,1e999,4]", JSON, 400, 1, "V2", None, "a finite number"),
        ([1, 2, 10**400, 4], JSON, 400, 1, "V2", "a number of more than 80 digits", "a finite number"),
        ("[1,2," + "9" * 5000 + ",4]", JSON, 400, None, None, None, "a finite number"),
        ([[1, 2, "3", 4]], JSON, 400, 1, "V2", "3", "a finite number"),
        ([[1, True, 3, 4]], JSON, 400, 1, "V1", "true", "a finite number"),
        ([[1, None, 3, 4]], JSON, 400, 1, "V1", "null", "a finite number"),
        ([[1, [2], 3, 4]], JSON, 400, 1, "V1", "an array", "a finite number"),
        ([ROW, [1, 2]], JSON, 400, 2, None, "2", "4 columns: Time, V1, V2, Amount"),
        ([NAMED, {"Time": 1}], JSON, 400, 2, "V1", None, None),
        (NAMED | {"Class": 0}, JSON, 400, 1, "Class", None, None),
        ('{"Time":1,"V1":1,"V1":2,"V2":1,"Amount":1}', JSON, 400, None, "V1", "V1", "each column once"),
        (NAMED | {"Amount": -1}, JSON, 400, 1, "Amount", "-1", "a number of at least 0"),
        ({"instances": 3}, JSON, 400, None, "instances", "3", "a list of rows"),
        (
            {"instances": [ROW], "more": 1},
            JSON,
            400,
            None,
            "more",
            None,
            'nothing beside "instances", "calibrated" and "explain"',
        ),
        ({"instances": [ROW], "explain": "yes"}, JSON, 400, None, "explain", "yes", "true or false"),
        ({"instances": [ROW] * 501, "explain": True}, JSON, 413, None, None, None, "at most 500 rows"),
        ({"instances": [ROW], "calibrated": 1}, JSON, 400, None, "calibrated", "1", "true or false"),
        ("3", JSON, 400, None, None, "3", 'an object, an array or {"instances": [...]}'),
        ('"text"', JSON, 400, None, None, "text", 'an object, an array or {"instances": [...]}'),
        ([ROW, 3], JSON, 400, 2, None, "3", "an object of named numbers or an array of numbers"),
        (NAMED | {"event_id": ""}, JSON, 400, 1, "event_id", "", None),
        (NAMED | {"event_id": "a\nb"}, JSON, 400, 1, "event_id", "a\nb", None),
        (NAMED | {"event_id": "x" * 129}, JSON, 400, 1, "event_id", "x" * 80, None),
        (NAMED | {"event_id": [1]}, JSON, 400, 1, "event_id", "an array", None),
        (NAMED | {"event_id": 1.5}, JSON, 400, 1, "event_id", "1.5", None),
        (f"{json.dumps(ROW)}\n{{", JSONLINES, 400, 2, None, None, "JSON"),
        (f"{json.dumps(ROW)}\n\n{json.dumps(ROW)}", JSONLINES, 400, 2, None, "", None),
        ("x" * (MAX_BODY + 1), CSV, 413, None, None, None, f"at most {MAX_BODY} bytes"),
        (b"x" * 10_000_000, JSON, 413, None, None, None, f"at most {MAX_BODY} bytes"),
        ("é" * (MAX_BODY // 2 + 1), CSV, 413, None, None, None, f"at most {MAX_BODY} bytes"),
        (LINE, "text/plain", 415, None, None, "text/plain", "application/json or text/csv or application/jsonlines"),
        (LINE, "nonsense", 415, None, None, "nonsense", None),
        (LINE, "text/csv; charset=utf-16", 415, None, None, "utf-16", "utf-8"),
    ],
)  # fmt: skip
def test_error_names_row_column_value_and_expectation(
    *, body: Any, kind: str, status: int, row: int | None, column: str | None, value: str | None, expected: str | None
) -> None:
    """Each kind of invalid request has its status and a body that says where and what was expected."""
    error = rejection(body, kind)
    detail = json.loads(error.body)["error"]
    assert (detail["status"], detail["row"], detail["column"]) == (status, row, column)
    assert value is None or detail["value"] == value
    assert detail["expected"] == expected if expected else detail["expected"]
    assert detail["message"] == str(error)
    assert len(error.body) < 2000


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, '{"instances":' * 9999]
)
def test_deep_nesting_is_rejected(text: str) -> None:
    """Deeply nested JSON is rejected with 400."""
    assert rejection(text).status == 400
    assert rejection(text, JSONLINES).status == 400


def test_error_names_unknown_and_missing_columns() -> None:
    """An unknown column is named together with the missing ones."""
    assert str(rejection(f"Time,V1,V2,Betrag\n{LINE}", CSV)) == (
        'the header: "Betrag" is not a column of this model (missing: Amount)'
    )
    assert str(rejection([{"Time": 1}])) == "row 1: column V1, V2, Amount is missing"


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.floats(0, allow_infinity=False)), min_size=1, max_size=8)
IDS = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=20)


@given(ROWS, st.permutations([0, 1, 2, 3]), st.none() | IDS, st.booleans())
@settings(deadline=None)
def test_numbers_survive_every_form_bit_for_bit(
    rows: list[tuple[float, ...]], order: list[int], event_id: str | None, quoted: bool
) -> None:
    """Named in any order, with or without ids, a batch survives CSV, JSON and JSON lines."""
    names = [PARSER.inputs[at] for at in order]
    expected = Batch([list(row) for row in rows], [event_id] * len(rows) if event_id is not None else None)
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    extra = [] if event_id is None else [event_id]
    writer.writerow([*names, *(["event_id"] if extra else [])])
    writer.writerows([[*(repr(row[at]) for at in order), *extra] for row in rows])
    documents: list[dict[str, Any]] = [
        {name: row[at] for name, at in zip(names, order, strict=True)} | ({"event_id": event_id} if extra else {})
        for row in rows
    ]
    assert parse(text.getvalue(), CSV) == expected
    assert parse(documents) == expected
    assert parse("\n".join(map(json.dumps, documents)), JSONLINES) == expected


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(PARSER.inputs),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from([*PARSER.inputs, "instances", "event_id", "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)
PIECES = st.lists(
    st.sampled_from(
        [*PARSER.inputs, "event_id", ",", "\n", "\r", '"', "1", "-2.5", "nan", " ", "\0", ";", "é", "1e400"]
    ),
    max_size=30,
).map("".join)
BODIES = (
    st.binary(max_size=60)
    | st.text(max_size=60)
    | PIECES
    | JSONS.map(json.dumps)
    | PIECES.map(lambda t: f"{LINE}\n{t}")
)
KINDS = st.sampled_from([CSV, JSON, JSONLINES, "text/csv; header=present", "text/csv; header=absent"])


@given(BODIES, KINDS)
@examples(500)
def test_parse_raises_only_payload_error(body: bytes | str, kind: str) -> None:
    """Noise, near-CSV and any JSON give finite rows or a PayloadError with a JSON body."""
    try:
        batch = PARSER.parse(body, kind)
    except PayloadError as error:
        assert 400 <= error.status < 500
        assert json.loads(error.body)["error"]["message"]
        return
    assert batch.rows
    assert all(len(row) == 4 and all(map(math.isfinite, row)) and row[3] >= 0 for row in batch.rows)
    assert batch.event_ids is None or len(batch.event_ids) == len(batch.rows)


@given(
    st.text(max_size=60)
    | st.sampled_from(["text/csv;", "text/csv; charset*0*=", "; ;", 'a/b; c="', "text/csv; charset"])
)
@examples(300)
def test_headers_raise_only_payload_error(value: str) -> None:
    """Any Content-Type is accepted or rejected with 415, any Accept with 406."""
    for status, call in ((415, scoring_responses.content_type), (406, scoring_responses.negotiate)):
        try:
            call(value)
        except PayloadError as error:
            assert error.status == status
