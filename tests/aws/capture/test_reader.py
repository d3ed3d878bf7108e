"""Reading captured traffic: the rows sent, in every format; unreadable lines become dead letters."""

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
from ml.aws.capture import captured_batches, line_stream, reader
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
    """Stores the lines under `hour` and returns the key."""
    key = f"capture/{endpoint}/AllTraffic/{hour:%Y/%m/%d/%H}/{uuid4()}.jsonl"
    client("s3").put_object(Bucket=bucket, Key=key, Body=b"\n".join(lines) + end.encode())
    return key


def read(
    bucket: str, start: datetime = START, end: datetime = END, **more: Any
) -> tuple[Any, captured_batches.CaptureCounts]:
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
def test_every_body_format_gives_the_same_rows(bucket: str, form: str, answer: str, plain: bool) -> None:
    """Rows, scores, decisions and ids are those sent and answered, whatever the format."""
    put(bucket, [line(FORMS[form], ANSWERS[answer], plain=plain)] * 3)
    rows, counts = read(bucket)
    expected = [
        ("2026-03-01T12:00:00", f"r-1#{place}", tuple(ROWS[place]), SCORES[place], place, "0007") for place in (0, 1)
    ]
    assert rows == sorted(expected * 3)
    assert (counts.lines, counts.rows, counts.unreadable_lines, counts.schema, counts.missing) == (3, 6, 0, {}, {})


def test_body_may_be_a_single_row(bucket: str) -> None:
    """A body may be a single object, array or CSV line."""
    bodies = [json.dumps(captured_lines.named(ROWS)[0]), json.dumps(ROWS[0])]
    put(bucket, [line((body, JSON), (captured_lines.predictions(SCORES[:1]), JSON)) for body in bodies])
    rows, counts = read(bucket)
    assert [row[2] for row in rows] == [tuple(ROWS[0])] * 2
    assert counts.rows == 2


def test_row_id_falls_back_to_answer_and_request(bucket: str) -> None:
    """A row's id is its `event_id`, else the answer's, else `<InferenceId>#<row>`, else null."""
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


def test_one_side_may_be_captured_alone(bucket: str) -> None:
    """Inputs alone have no scores, answers alone no inputs; a batch never mixes the two."""
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


def test_window_selects_by_request_time(bucket: str) -> None:
    """The window includes its start and excludes its end; matching requests in a neighbouring partition count."""
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
    put(bucket, lines, hour=END + hour)  # further away than any request is stored
    rows, counts = read(bucket)
    assert [row[1] for row in rows] == ["1#0", "2#0"]
    assert (counts.objects, counts.lines, counts.outside) == (2, 4, 2)


def test_unreadable_lines_become_dead_letters(bucket: str) -> None:
    """Each is stored under monitoring/unreadable with number, reason and text; reading again writes the same."""
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


def test_unreadable_line_does_not_affect_its_neighbours(bucket: str) -> None:
    """Among hundreds of requests decoded together, the bad one is reported and the others are complete."""
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


def test_schema_mismatches_are_findings_and_rows_stay(bucket: str) -> None:
    """Missing, unexpected, not a number, another width: counted by column, NaN where there is no value."""
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


def test_csv_mismatches_are_findings(bucket: str) -> None:
    """In CSV, empty fields are missing, words are not numbers, and other widths and headers are reported."""
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


def test_refused_request_keeps_its_inputs(bucket: str) -> None:
    """A request answered by an error yields rows without scores and counts as refused."""
    refusal = json.dumps({"error": {"status": 400, "message": "no"}})
    put(bucket, [line((captured_lines.csv_rows(ROWS), CSV), (refusal, JSON))])
    rows, counts = read(bucket)
    assert [row[2] for row in rows] == [tuple(row) for row in ROWS]
    assert (counts.refused_lines, counts.rows_without_scores) == (1, 2)


def test_smoke_tests_are_left_out_and_counted(bucket: str) -> None:
    """Requests whose inference id begins with smoke- are counted, not returned."""
    sides = ((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    put(bucket, [line(*sides, inference_id="smoke-1"), line(*sides, inference_id="smoked-1")])
    rows, counts = read(bucket)
    assert [row[1] for row in rows] == ["smoked-1#0", "smoked-1#1"]
    assert (counts.smoke_lines, counts.smoke_rows) == (1, 2)


def test_all_variants_of_one_endpoint_are_read(bucket: str) -> None:
    """Reads all variants of the endpoint and no other endpoint."""
    sides = ((captured_lines.csv_rows(ROWS[:1]), CSV), (captured_lines.answer_csv(SCORES[:1]), CSV))
    put(bucket, [line(*sides, inference_id="other")], endpoint="fraud-2")
    put(bucket, [line(*sides, inference_id="one")])
    key = f"capture/fraud/Second/{NOON:%Y/%m/%d/%H}/x.jsonl"
    client("s3").put_object(Bucket=bucket, Key=key, Body=line(*sides, inference_id="two"))
    client("s3").put_object(Bucket=bucket, Key="capture/fraud/AllTraffic/2026/03/01/readme.txt", Body=b"not capture")
    assert [row[1] for row in read(bucket)[0]] == ["one#0", "two#0"]


def test_batches_have_the_minimum_size(bucket: str) -> None:
    """All batches but the last have `batch_rows` rows or more."""
    sides = ((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    for _ in range(5):
        put(bucket, [line(*sides)] * 10)
    sizes = [len(batch) for batch in reader.read(bucket, "fraud", START, END, inputs=INPUTS, batch_rows=30)]
    assert sum(sizes) == 100
    assert all(size >= 30 for size in sizes[:-1])


def test_window_without_capture_has_no_batches(bucket: str) -> None:
    """A window without captured traffic yields no batch and empty counts."""
    assert read(bucket) == ([], captured_batches.CaptureCounts())


def test_s3_refusal_names_the_operation(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the S3 operation and the reason."""
    moto_server.point_at(server, monkeypatch)
    with pytest.raises(CloudError, match=r"listing s3://nowhere-at-all/capture/fraud/: .*NoSuchBucket"):
        read("nowhere-at-all")


def test_lines_are_complete_across_ranges(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever an object is cut, lines and line numbers are right, also without a final line break."""
    lines = [b"x" * size for size in (0, 1, 5, 40, 3, 0, 17, 100, 2)]
    key = put(bucket, lines, end="")
    found = captured.list_objects(bucket, "fraud", START, END)
    item = next(found)
    assert item.key == key
    for size in (1, 2, 7, 16, 64, 1000):
        monkeypatch.setattr(line_stream, "RANGE", size)
        blocks = list(line_stream.blocks(bucket, iter([item, dataclasses.replace(item)])))
        assert b"".join(block.data for block in blocks) == b"\n".join(lines) * 2
        for block in blocks:
            content = block.data.removesuffix(b"\n").split(b"\n")
            assert content == lines[block.first - 1 : block.first - 1 + len(content)]


def test_overlong_line_is_truncated_in_its_dead_letter(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An overlong line is not held in memory, counts as unreadable, and the lines after it are read."""
    monkeypatch.setattr(line_stream, "RANGE", 64)
    monkeypatch.setattr("ml.aws.capture.captured_lines.LONGEST_LINE", 2000)
    good = line((captured_lines.csv_rows(ROWS), CSV), (captured_lines.answer_csv(SCORES), CSV))
    put(bucket, [good, b"y" * 10_000, good])
    rows, counts = read(bucket)
    assert len(rows) == 4
    assert counts.reasons == {"longer than any request": 1}
    (kept,) = io.BytesIO(s3_objects.read(counts.kept_aside[0])).readlines()
    assert json.loads(kept)["line"] == 2


def test_object_replaced_during_reading_is_an_error(bucket: str) -> None:
    """Two versions of an object are never mixed."""
    put(bucket, [b"{}"])
    item = next(captured.list_objects(bucket, "fraud", START, END))
    client("s3").put_object(Bucket=bucket, Key=item.key, Body=b"[]\n")
    with pytest.raises(CloudError, match="PreconditionFailed"):
        list(line_stream.blocks(bucket, iter([item])))


def test_last_captured_hour_reads_no_object(bucket: str) -> None:
    """Returns the newest hour with an object that is not after the given moment; None if there is none."""
    assert captured.last_captured_hour(bucket, "fraud", END) is None
    for hour in (datetime(2025, 12, 31, 23, tzinfo=UTC), NOON, NOON + timedelta(days=40)):
        put(bucket, [b"{}"], hour=hour)
    assert captured.last_captured_hour(bucket, "fraud", END) == NOON
    assert captured.last_captured_hour(bucket, "fraud", NOON - timedelta(hours=1)) == datetime(
        2025, 12, 31, 23, tzinfo=UTC
    )
    volume = captured.measure_volume(bucket, "fraud", START, END)
    assert (volume.objects, volume.hours, volume.hours_with_traffic) == (1, 24, 1)


def test_listing_has_the_hours_of_the_window(bucket: str) -> None:
    """From the first hour to the one that the end is in, in the order of time, across the turn of a year."""
    start, hour = datetime(2025, 12, 31, 22, tzinfo=UTC), timedelta(hours=1)
    keys = [put(bucket, [b"{}"], hour=start + number * hour) for number in (-25, -1, 0, 3, 40, 41, 24 * 31)]
    client("s3").put_object(Bucket=bucket, Key="capture/fraud/AllTraffic/2026/01/01/notes.txt", Body=b"")
    last = start + 40 * hour
    listed = [[item.key for item in captured.list_objects(bucket, "fraud", start, end)] for end in (last, last + hour)]
    assert listed == [keys[2:4], keys[2:5]]
    assert [item.key for item in captured.list_objects(bucket, "fraud", start, last + timedelta(seconds=1))] == keys[
        2:5
    ]
    assert list(captured.list_objects(bucket, "fraud", last, last)) == []
