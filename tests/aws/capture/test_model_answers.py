"""The answers of one model version, as captured files arrive."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from ml.aws.capture.model_answers import ModelAnswers, NewAnswers
from ml.aws.session import client
from tests.aws.capture.captured_lines import INPUTS, NOON, answer_csv, csv_rows, line
from tests.harness.aws import moto_server

NOW = NOON + timedelta(minutes=10)


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def store(name: str, lines: Sequence[bytes]) -> None:
    """Stores captured lines of the hour from NOON."""
    key = f"capture/live/AllTraffic/2026/03/01/12/{name}.jsonl"
    client("s3").put_object(Bucket="lake", Key=key, Body=b"\n".join(lines) + b"\n")


def answered(scores: Sequence[float], version: str = "0002", minutes: float = 1, inference_id: str = "r-1") -> bytes:
    """A captured request with these scores as its answer."""
    given = (csv_rows([[0.0] * len(INPUTS) for _ in scores]), "text/csv")
    at = NOON + timedelta(minutes=minutes)
    return line(given, (answer_csv(scores, version), "text/csv"), at=at, inference_id=inference_id)


def canary() -> ModelAnswers:
    """Approval 0002 since NOON."""
    return ModelAnswers("lake", "live", "0002", NOON, inputs=INPUTS)


def scores(found: NewAnswers) -> list[float]:
    """The scores, ascending."""
    return sorted(found.scores.tolist())


def test_answers_are_split_by_version_and_read_once() -> None:
    """Another version's rows are none of them; a file is read once, a new one at the next call."""
    answers = canary()
    store("a", [answered([0.25, 0.75]), answered([0.5], version="0001")])
    found = answers.new(NOW)
    assert scores(found) == [0.25, 0.75]
    assert len(found.decisions) == 2
    assert scores(answers.new(NOW)) == []
    store("b", [answered([0.125])])
    assert scores(answers.new(NOW)) == [0.125]


def test_earlier_answers_smoke_tests_and_errors_are_none() -> None:
    """The version may have served before this deployment; known transactions are no traffic."""
    refused = line(("1,2,3,4", "text/csv"), ('{"error": "no"}', "application/json"), at=NOON)
    store(
        "a",
        [answered([0.1], minutes=-1), answered([0.2], inference_id="smoke-1"), refused, answered([0.3], minutes=0)],
    )
    assert scores(canary().new(NOW)) == [0.3]


def test_unreadable_lines_are_counted() -> None:
    """They are not written anywhere: the next drift check keeps them."""
    store("a", [b"no line", answered([0.5])])
    found = canary().new(NOW)
    assert (scores(found), found.unreadable_lines) == ([0.5], 1)
    assert [item["Key"] for item in client("s3").list_objects_v2(Bucket="lake")["Contents"]] == [
        "capture/live/AllTraffic/2026/03/01/12/a.jsonl"
    ]


def test_no_traffic_is_no_answer() -> None:
    """An endpoint without captured files."""
    found = canary().new(NOW)
    assert (scores(found), found.decisions.tolist(), found.unreadable_lines) == ([], [], 0)
