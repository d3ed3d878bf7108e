"""The sample of captured requests: whole, as they were sent, and the same whenever it is drawn."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.aws.capture import captured_requests
from ml.aws.capture.captured_requests import CapturedRow, RequestSample
from ml.aws.session import client
from tests.aws.capture.captured_lines import INPUTS, NOON, csv_rows, line
from tests.harness.aws import moto_server

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
HOUR = timedelta(hours=1)
ROWS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def store(lines: Sequence[bytes], name: str = "12/a") -> None:
    """Stores captured lines of the hour in `name`."""
    key = f"capture/live/AllTraffic/2026/03/01/{name}.jsonl"
    client("s3").put_object(Bucket="lake", Key=key, Body=b"\n".join(lines))


def sample(max_rows: int = 1_000) -> RequestSample:
    """The sample of the hour from NOON on."""
    return captured_requests.sample(
        "lake", "live", NOON, NOON + HOUR, version="0001", inputs=INPUTS, amount="Amount", max_rows=max_rows
    )


@pytest.mark.parametrize("plain", [True, False])
def test_request_is_kept_as_it_was_sent(plain: bool) -> None:
    """Body, content type and row ids; a text that a decoder would turn into a number is the text still."""
    body = '{"instances": [{"V1": 1, "V2": 2, "Time": 0, "Amount": "7.50", "event_id": "é/1"}]}'
    store(
        [
            line((body, JSON), ("0.25,0,0001", CSV), plain=plain),
            line((csv_rows(ROWS), f"{CSV}; header=absent"), ("0.25,0,0001\n0.75,1,0001", CSV), plain=plain),
        ]
    )
    found = sample()
    assert (found.requests, found.rows) == (2, 3)
    by_type = {request.content_type: request for request in found.chosen}
    named, unnamed = by_type[JSON], by_type[f"{CSV}; header=absent"]
    assert (named.body, named.at) == (body, NOON)
    assert [row.event_id for row in named.rows] == ["é/1"]
    assert math.isnan(named.rows[0].amount)
    assert unnamed.rows == (
        CapturedRow(event_id="r-1#0", amount=4.0, score=0.25, decision=0),
        CapturedRow(event_id="r-1#1", amount=8.0, score=0.75, decision=1),
    )


def test_what_cannot_be_compared_is_counted() -> None:
    """Other models, errors, halves, smoke tests, other times and damaged lines are not in the sample."""
    request, answer = (csv_rows(ROWS[:1]), CSV), ("0.25,0,0001", CSV)
    store(
        [
            line(request, answer),
            line(request, ("0.25,0,0002", CSV)),
            line(request, (json.dumps({"error": "no"}), JSON)),
            line(None, answer),
            line(request, answer, inference_id="smoke-1"),
            line(request, answer, at=NOON - timedelta(seconds=1)),
            line(request, answer, at=NOON + HOUR),
            line(request, ("what", CSV)),
            line((csv_rows(ROWS), CSV), answer),
            b"no line",
        ]
    )
    found = sample()
    assert (len(found.chosen), found.other_model, found.unusable, found.unreadable) == (1, 1, 2, 3)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=12), limit=st.integers(1, 20))
def test_sample_is_the_shortest_prefix_in_the_order_of_digests(sizes: list[int], limit: int) -> None:
    """Whole requests until there are `limit` rows, whatever the order in which they are read."""
    made = [
        line((csv_rows(ROWS[:1] * size), CSV), ("\n".join(["0.25,0,0001"] * size), CSV), inference_id=f"r-{place}")
        for place, size in enumerate(sizes)
    ]
    store(made)
    every, some = sample().chosen, sample(limit).chosen
    expected, rows = [], 0
    for request in sorted(every, key=lambda each: each.id):
        if rows < limit:
            expected.append(request.id)
            rows += len(request.rows)
    assert sorted(request.id for request in some) == expected
    assert sample(limit).chosen == some
    assert sample(limit).rows == sum(sizes)
