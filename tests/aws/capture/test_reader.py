"""Captured traffic comes back as the rows that were sent, in every form, and what cannot be read is never just gone."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from ml.aws import s3_objects
from ml.aws.capture import inventory, line_stream, reader
from ml.aws.capture import object_listing as captured
from ml.aws.session import client
from ml.errors import CloudError
from tests.aws.capture import captured_lines
from tests.aws.capture.captured_lines import INPUTS, NOON, line
from tests.harness.aws import moto_server

ROWS = [[0.0, 1.5, -2.25, 10.0], [60.0, 1e-7, 0.1, 0.0]]
SCORES = [0.125, 0.75]
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
START, END = NOON.replace(hour=0), NOON.replace(hour=0) + timedelta(days=1)


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"capture-{uuid4().hex}")


def put(bucket: str, lines: Sequence[bytes], *, hour: datetime = NOON, endpoint: str = "fraud", end: str = "\n") -> str:
    """Files the lines under `hour` and returns the key."""
    key = f"capture/{endpoint}/AllTraffic/{hour:%Y/%m/%d/%H}/{uuid4()}.jsonl"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"\n".join(lines) + end.encode())
    return key


def read(bucket: str, start: datetime = START, end: datetime = END, **more: Any) -> tuple[Any, reader.Counts]:
    """All rows of the window sorted by time and id, and the counts."""
    reading = reader.read(bucket, "fraud", start, end, inputs=INPUTS, **more)
    rows = []
    for batch in reading:
        for place in range(len(batch)):
            rows.append(
                (
                    batch.times[place].item().isoformat(),
                    batch.event_ids[place].as_py(),
                    None if batch.inputs is None else tuple(batch.inputs[place].tolist()),
                    batch.scores[place].item(),
                    batch.decisions[place].item(),
                    batch.model_versions[place].as_py(),
                )
            )
    return sorted(rows, key=lambda row: (row[0], row[1] or "")), reading.counts


HEAD = ("V1", "Time", "Amount", "V2")
SWAPPED = [[row[1], row[0], row[3], row[2]] for row in ROWS]
FORMS: dict[str, tuple[str, str]] = {
    "CSV": (captured_lines.csv_rows(ROWS), CSV),
    "CSV that ends with a line": (captured_lines.csv_rows(ROWS) + "\n", CSV),
    "CSV with Windows line ends": (captured_lines.csv_rows(ROWS).replace("\n", "\r\n"), CSV),
    "CSV with a header": (captured_lines.csv_rows(SWAPPED, HEAD), CSV),
    "CSV that says it has a header": (captured_lines.csv_rows(SWAPPED, HEAD), "text/csv; header=present"),
    "CSV quoted": ('"0.0","1.5",-2.25,10.0\n60.0,1e-7,0.1,0.0', CSV),
    "instances": (json.dumps({"instances": captured_lines.named(ROWS)}), JSON),
    "instances, compact": (json.dumps({"instances": captured_lines.named(ROWS)}, separators=(",", ":")), JSON),
    "instances, arrays": (json.dumps({"instances": ROWS}), JSON),
    "a list of objects": (json.dumps(captured_lines.named(ROWS)), JSON),
    "a list of arrays": (json.dumps(ROWS), JSON),
    "instances over many lines": (json.dumps({"instances": captured_lines.named(ROWS)}, indent=2), JSON),
    "lines of objects": ("\n".join(map(json.dumps, captured_lines.named(ROWS))), LINES),
    "lines of arrays": ("\n".join(map(json.dumps, ROWS)) + "\n", LINES),
    "JSON of no stated type": (json.dumps({"instances": captured_lines.named(ROWS)}), "application/octet-stream"),
    "CSV of no stated type": (captured_lines.csv_rows(ROWS), "application/octet-stream"),
}
ANSWERS: dict[str, tuple[str, str]] = {
    "JSON": (captured_lines.predictions(SCORES), JSON),
    "CSV": (captured_lines.answer_csv(SCORES), CSV),
    "CSV with a header": ("score,decision,model_version\n" + captured_lines.answer_csv(SCORES), CSV),
    "lines": ("\n".join(map(json.dumps, json.loads(captured_lines.predictions(SCORES))["predictions"])), LINES),
}


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "base64"])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_request_gives_the_same_rows(bucket: str, form: str, answer: str, plain: bool) -> None:
    """Rows, scores, decisions and ids are those that were sent and answered, whatever they were written in."""
    put(bucket, [line(FORMS[form], ANSWERS[answer], plain=plain)] * 3)
    rows, counts = read(bucket)
    expected = [
        ("2026-03-01T12:00:00", f"r-1#{place}", tuple(ROWS[place]), SCORES[place], place, "0007") for place in (0, 1)
    ]
    assert rows == sorted(expected * 3)
    assert (counts.lines, counts.rows, counts.unreadable_lines, counts.schema, counts.missing) == (3, 6, 0, {}, {})


def test_one_row_is_an_object_or_an_array_or_a_line(bucket: str) -> None:
    """A body may be the row itself."""
    bodies = [json.dumps(captured_lines.named(ROWS)[0]), json.dumps(ROWS[0])]
    put(bucket, [line((body, JSON), (captured_lines.predictions(SCORES[:1]), JSON)) for body in bodies])
    rows, counts = read(bucket)
    assert [row[2] for row in rows] == [tuple(ROWS[0])] * 2
    assert counts.rows == 2


def test_a_row_is_known_by_its_event_id_then_by_the_answers_then_by_its_request(bucket: str) -> None:
    """`event_id` of the row, else the one that the answer echoes, else `<InferenceId>#<row>`, else none."""
    named = json.dumps({"instances": captured_lines.named(ROWS, ids=["a", "b"])})
    headed = captured_lines.csv_rows(ROWS, [*INPUTS, "event_id"], ids=["c", "d"])
    anonymous = captured_lines.csv_rows(ROWS)
    answer = (captured_lines.predictions(SCORES), JSON)
    put(
        bucket,
        [
            line((named, JSON), answer),
            line((headed, CSV), answer),
            line((anonymous, CSV), (captured_lines.predictions(SCORES, ids=["e", "f"]), JSON)),
            line(None, (captured_lines.predictions(SCORES, ids=["g", "h"]), JSON)),
            line((anonymous, CSV), answer, inference_id="q"),
            line((anonymous, CSV), answer, inference_id=None),
        ],
    )
    rows, counts = read(bucket)
    assert [row[1] for row in rows] == [None, None, "a", "b", "c", "d", "e", "f", "g", "h", "q#0", "q#1"]
    assert (counts.rows_without_id, counts.rows_without_inputs) == (2, 2)


def test_either_side_may_be_all_that_was_captured(bucket: str) -> None:
    """Input only: no scores; answers only: no inputs. The two are never mixed in a batch."""
    put(
        bucket,
        [
            line((captured_lines.csv_rows(ROWS), CSV), None, inference_id="i"),
            line(None, (captured_lines.answer_csv(SCORES), CSV), inference_id="o"),
        ],
    )
    reading = reader.read(bucket, "fraud", START, END, inputs=INPUTS)
    given, answered = sorted(reading, key=lambda batch: batch.inputs is None)
    assert given.inputs is not None
    assert np.isnan(given.scores).all() and set(given.decisions.tolist()) == {-1}
    assert given.column("Amount").tolist() == [10.0, 0.0]
    assert answered.inputs is None and np.isnan(answered.column("V1")).all()
    assert answered.scores.tolist() == SCORES
    assert (reading.counts.rows_without_inputs, reading.counts.rows_without_scores) == (2, 2)


def test_the_time_of_a_request_decides_and_its_partition_does_not(bucket: str) -> None:
    """The start belongs to the window and the end does not; a neighbouring partition may hold what does."""
    hour = timedelta(hours=1)
    moments = [START - timedelta(seconds=1), START, END - timedelta(seconds=1), END]
    lines = [
        line(
            (captured_lines.csv_rows(ROWS[:1]), CSV),
            (captured_lines.answer_csv(SCORES[:1]), CSV),
            at=moment,
            inference_id=str(n),
        )
        for n, moment in enumerate(moments)
    ]
    put(bucket, lines[:2], hour=START - hour)
    put(bucket, lines[2:], hour=END)
    put(bucket, lines, hour=END + hour)  # further away than any request is filed
    rows, counts = read(bucket)
    assert [row[1] for row in rows] == ["1#0", "2#0"]
    assert (counts.objects, counts.lines, counts.outside) == (2, 4, 2)


def test_lines_that_cannot_be_read_are_counted_and_kept(bucket: str) -> None:
    """Each goes under monitoring/unreadable with its number, its reason and its text; reading again writes the same."""
    good = line((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    bad = {
        b'{"captureData": {': "not JSON",
        b'{"a": 1}': "not in the schema of data capture",
        b"\xff\xfe": "not JSON",
        good.replace(b"12:00:00Z", b"noon"): "inferenceTime is no time with an offset",
        line(None, None): "neither input nor output was captured",
        line(("{]", JSON), (captured_lines.answer_csv(SCORES), CSV)): "endpointInput: not JSON",
        line((captured_lines.csv_rows(ROWS), CSV), ("x", "text/plain")): "endpointOutput: holds no answer",
        line(
            (captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv([0.5]), CSV)
        ): "not as many answers as rows",
        line(("", CSV), (captured_lines.answer_csv(SCORES), CSV)): "endpointInput: holds no row",
        line(('"', CSV), (captured_lines.answer_csv(SCORES), CSV)): "endpointInput: not CSV",
        good.replace(b'"encoding":"CSV"', b'"encoding":"BASE64"'): "endpointInput: not base64",
    }
    lines = [item for one in bad for item in (good, one)]
    key = put(bucket, lines)
    rows, counts = read(bucket)
    assert len(rows) == 2 * len(bad)
    assert counts.unreadable_lines == len(bad)
    assert counts.lines == 2 * len(bad)
    (uri,) = counts.kept_aside
    assert uri == f"s3://{bucket}/monitoring/unreadable/{key.removeprefix('capture/')}"
    kept = [json.loads(item) for item in s3_objects.read(uri).splitlines()]
    assert [(item["line"], item["reason"]) for item in kept] == [
        (2 * place + 2, reason) for place, reason in enumerate(bad.values())
    ]
    assert kept[0]["text"] == '{"captureData": {'
    assert kept[2]["base64"] == "//4="
    before = s3_objects.read(uri)
    read(bucket)
    assert s3_objects.read(uri) == before


def test_one_bad_line_does_not_change_how_its_neighbours_are_read(bucket: str) -> None:
    """Among hundreds of requests that are read together, the one that does not fit is found and the rest is whole."""
    rows = [[float(n), 0.5, 1.5, 2.0] for n in range(300)]
    lines = [
        line(
            (json.dumps({"instances": captured_lines.named([row])}), JSON),
            (captured_lines.predictions([0.25]), JSON),
            inference_id=f"{n:03d}",
        )
        for n, row in enumerate(rows)
    ]
    lines[150] = line(('{"instances": [{]', JSON), (captured_lines.predictions([0.25]), JSON))
    put(bucket, lines, end="")
    found, counts = read(bucket)
    assert [row[2] for row in found] == [tuple(row) for n, row in enumerate(rows) if n != 150]
    assert counts.reasons == {"endpointInput: not JSON": 1}


def test_columns_that_do_not_fit_are_findings_and_the_rows_stay(bucket: str) -> None:
    """Missing, unexpected, not a number, of another width: counted by column, NaN where there is no value."""
    whole = captured_lines.named(ROWS[:1])[0]
    requests = [
        ({k: v for k, v in whole.items() if k != "V2"}, (0.0, 1.5, None, 10.0)),
        (whole | {"V3": 1.0}, (0.0, 1.5, -2.25, 10.0)),
        (whole | {"V1": "1.5"}, (0.0, None, -2.25, 10.0)),
        (whole | {"V1": True}, (0.0, None, -2.25, 10.0)),
        (whole | {"V1": None}, (0.0, None, -2.25, 10.0)),
        (ROWS[0][:3], (None, None, None, None)),
    ]
    put(
        bucket,
        [
            line(
                (json.dumps({"instances": [row]}), JSON),
                (captured_lines.predictions([0.25]), JSON),
                inference_id=str(n),
            )
            for n, (row, _) in enumerate(requests)
        ],
    )
    rows, counts = read(bucket)
    assert [tuple(None if np.isnan(value) else value for value in row[2]) for row in rows] == [
        expected for _, expected in requests
    ]
    assert counts.schema == {
        ("missing", "V2"): 1,
        ("unexpected", "V3"): 1,
        ("not a number", "V1"): 2,
        ("width", "3"): 1,
    }
    assert counts.missing == {"Time": 1, "V1": 4, "V2": 2, "Amount": 1}
    assert json.loads(json.dumps(counts.to_dict()))["schema"][0] == {"kind": "not a number", "column": "V1", "rows": 2}


def test_csv_that_does_not_fit_is_a_finding_too(bucket: str) -> None:
    """Empty fields are missing, words are not numbers, other widths and other headers are said."""
    bodies = ["0.0,,1.0,2.0", "0.0,abc,1.0,2.0", "0.0,1.0", "Time,V1,V9,Amount\n0.0,1.0,1.0,2.0", "1,2,3,4,5"]
    put(
        bucket,
        [
            line((body, CSV), (captured_lines.answer_csv([0.25]), CSV), inference_id=str(n))
            for n, body in enumerate(bodies)
        ],
    )
    rows, counts = read(bucket)
    assert len(rows) == 5
    assert counts.schema == {
        ("not a number", "V1"): 1,
        ("width", "2"): 1,
        ("width", "5"): 1,
        ("unexpected", "V9"): 1,
        ("missing", "V2"): 1,
    }
    assert counts.missing == {"Time": 2, "V1": 4, "V2": 3, "Amount": 2}


def test_a_request_that_was_refused_still_shows_what_was_sent(bucket: str) -> None:
    """An error as the answer leaves rows without scores; they count as refused."""
    refusal = json.dumps({"error": {"status": 400, "message": "no"}})
    put(bucket, [line((captured_lines.csv_rows(ROWS), CSV), (refusal, JSON))])
    rows, counts = read(bucket)
    assert [row[2] for row in rows] == [tuple(row) for row in ROWS]
    assert (counts.refused_lines, counts.rows_without_scores) == (1, 2)


def test_smoke_tests_are_left_out_and_counted(bucket: str) -> None:
    """Requests whose inference id begins with smoke- are nobody's transactions."""
    sides = ((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    put(bucket, [line(*sides, inference_id="smoke-1"), line(*sides, inference_id="smoked-1")])
    rows, counts = read(bucket)
    assert [row[1] for row in rows] == ["smoked-1#0", "smoked-1#1"]
    assert (counts.smoke_lines, counts.smoke_rows) == (1, 2)


def test_other_endpoints_are_not_read_and_all_variants_are(bucket: str) -> None:
    """The endpoint's own prefix, whichever variant answered."""
    sides = ((captured_lines.csv_rows(ROWS[:1]), CSV), (captured_lines.answer_csv(SCORES[:1]), CSV))
    put(bucket, [line(*sides, inference_id="other")], endpoint="fraud-2")
    put(bucket, [line(*sides, inference_id="one")])
    key = f"capture/fraud/Second/{NOON:%Y/%m/%d/%H}/x.jsonl"
    client("s3").put_object(Bucket=bucket, Key=key, Body=line(*sides, inference_id="two"))
    client("s3").put_object(Bucket=bucket, Key="capture/fraud/AllTraffic/2026/03/01/readme.txt", Body=b"not capture")
    assert [row[1] for row in read(bucket)[0]] == ["one#0", "two#0"]


def test_batches_hold_at_least_what_was_asked_for(bucket: str) -> None:
    """All batches but the last have `batch_rows` rows or more."""
    sides = ((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    for _ in range(5):
        put(bucket, [line(*sides)] * 10)
    sizes = [len(batch) for batch in reader.read(bucket, "fraud", START, END, inputs=INPUTS, batch_rows=30)]
    assert sum(sizes) == 100
    assert all(size >= 30 for size in sizes[:-1])


def test_a_window_without_capture_has_no_batches(bucket: str) -> None:
    """Nothing was captured: no rows, and counts that say so."""
    assert read(bucket) == ([], reader.Counts())


def test_a_bucket_that_cannot_be_read_is_said(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3's refusal comes through with what was being done."""
    moto_server.point_at(server, monkeypatch)
    with pytest.raises(CloudError, match=r"listing s3://nowhere-at-all/capture/fraud/: .*NoSuchBucket"):
        read("nowhere-at-all")


def test_lines_are_whole_however_the_ranges_fall(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object is cut anywhere; the lines, their numbers and one without an end are whole."""
    lines = [b"x" * size for size in (0, 1, 5, 40, 3, 0, 17, 100, 2)]
    key = put(bucket, lines, end="")
    found = captured.within(bucket, "fraud", START, END)
    item = next(found)
    assert item.key == key
    for size in (1, 2, 7, 16, 64, 1000):
        monkeypatch.setattr(line_stream, "RANGE", size)
        blocks = list(line_stream.blocks(bucket, iter([item, dataclasses.replace(item)])))
        assert b"".join(block.data for block in blocks) == b"\n".join(lines) * 2
        for block in blocks:
            content = block.data.removesuffix(b"\n").split(b"\n")
            assert content == lines[block.first - 1 : block.first - 1 + len(content)]


def test_a_line_beyond_all_measure_is_kept_by_its_beginning(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not gathered in memory, it is counted as unreadable, and what follows it is read."""
    monkeypatch.setattr(line_stream, "RANGE", 64)
    monkeypatch.setattr(line_stream, "LONGEST_LINE", 2000)
    good = line((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    put(bucket, [good, b"y" * 10_000, good])
    rows, counts = read(bucket)
    assert len(rows) == 4
    assert counts.reasons == {"longer than any request": 1}
    (kept,) = io.BytesIO(s3_objects.read(counts.kept_aside[0])).readlines()
    assert json.loads(kept)["line"] == 2


def test_an_object_replaced_while_it_is_read_is_said(bucket: str) -> None:
    """Two versions are never mixed."""
    put(bucket, [b"{}"])
    item = next(captured.within(bucket, "fraud", START, END))
    client("s3").put_object(Bucket=bucket, Key=item.key, Body=b"[]\n")
    with pytest.raises(CloudError, match="PreconditionFailed"):
        list(line_stream.blocks(bucket, iter([item])))


def test_the_last_traffic_is_found_without_reading_it(bucket: str) -> None:
    """The newest hour that has an object and is not after the moment asked for; none where there is none."""
    assert inventory.last_traffic(bucket, "fraud", END) is None
    for hour in (datetime(2025, 12, 31, 23, tzinfo=UTC), NOON, NOON + timedelta(days=40)):
        put(bucket, [b"{}"], hour=hour)
    assert inventory.last_traffic(bucket, "fraud", END) == NOON
    assert inventory.last_traffic(bucket, "fraud", NOON - timedelta(hours=1)) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    listed = inventory.listing(bucket, "fraud", START, END)
    assert (listed.objects, listed.hours, listed.hours_with_traffic) == (1, 24, 1)
