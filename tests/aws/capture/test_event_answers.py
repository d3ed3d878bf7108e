"""The captured answers for one event, in every form in which rows have ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from ml.aws.capture import event_answers
from ml.aws.capture.event_answers import CapturedAnswer
from ml.aws.session import client
from tests.aws.capture.captured_lines import INPUTS, NOON, csv_rows, line
from tests.harness.aws import moto_server

ROWS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
SAID = "0.25,0,0001\n0.75,1,0001"


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def store(lines: Sequence[bytes], name: str = "12/a") -> None:
    """Stores captured lines of the hour in `name`."""
    client("s3").put_object(
        Bucket="lake", Key=f"capture/live/AllTraffic/2026/03/01/{name}.jsonl", Body=b"\n".join(lines)
    )


def find(event_id: str) -> list[CapturedAnswer]:
    """The answers of the day of NOON."""
    return event_answers.find("lake", "live", event_id, NOON.date(), inputs=INPUTS)


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    ("given", "answered", "event_id"),
    [
        ((csv_rows(ROWS), CSV), (SAID, CSV), "r-1#1"),
        ((csv_rows(ROWS, [*INPUTS, "event_id"], ["e-1", "e-2"]), CSV), (SAID, CSV), "e-2"),
        ((csv_rows(ROWS), CSV), ("0.25,0,0001,e-1\n0.75,1,0001,e-2", CSV), "e-2"),
        (('{"V1": 1, "event_id": "e-1"}\n{"V1": 2, "event_id": "\\u00e9/2"}', LINES), (SAID, CSV), "é/2"),
        (('{"instances": [[1, 2, 3, 4], [5, 6, 7, 8]]}', JSON), ('{"predictions": [0.25, 0.75]}', JSON), "r-1#1"),
    ],
)
def test_second_row_is_found(given: tuple[str, str], answered: tuple[str, str], event_id: str, plain: bool) -> None:
    """By the id of the request, of the answer, or by its place; encoded bodies and escaped text are read too."""
    store([b"no line", line(given, answered, plain=plain)])
    (found,) = find(event_id)
    assert (found.at, found.inference_id, found.row, found.rows, found.score) == (NOON, "r-1", 1, 2, 0.75)
    assert (found.request, found.content_type) == given
    assert found.key.endswith("/12/a.jsonl")
    assert find("e-3") == []


def test_answers_are_those_of_the_day_and_in_order() -> None:
    """A request shortly after midnight may be filed under the hour before; smoke tests and errors do not count."""
    given, said = (csv_rows(ROWS), CSV), (SAID, CSV)
    midnight = NOON - timedelta(hours=12)
    store([line(given, said, at=NOON), line(given, said, at=NOON - timedelta(hours=1))])
    store([line(given, ('{"error": {}}', JSON)), line(given, None), line(given, ("0.25,0,0001", CSV))], "12/c")
    client("s3").put_object(
        Bucket="lake",
        Key="capture/live/AllTraffic/2026/02/28/23/b.jsonl",
        Body=line(given, said, at=midnight) + b"\n" + line(given, said, at=midnight - timedelta(seconds=1)),
    )
    assert [found.at for found in find("r-1#0")] == [midnight, NOON - timedelta(hours=1), NOON]
    store([line(given, said, inference_id="smoke-1")], "12/d")
    assert find("smoke-1#0") == []


def test_request_is_none_where_only_answers_are_captured() -> None:
    """The answer is still found by the id that it echoes."""
    store([line(None, ("0.25,0,0001,e-1", CSV), inference_id=None)])
    (found,) = find("e-1")
    assert (found.request, found.content_type, found.inference_id, found.version) == (None, None, None, "0001")
