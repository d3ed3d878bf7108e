"""Clients of AWS: how they read responses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.utils import parse_timestamp

from ml.aws import session


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-27T15:51:06.000Z", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
        ("2026-11-27T15:51:06.123456+02:00", datetime(2026, 11, 27, 13, 51, 6, 123456, tzinfo=UTC)),
        ("Fri, 27 Nov 2026 15:51:06 GMT", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
        (1795794666.5, datetime(2026, 11, 27, 15, 51, 6, 500000, tzinfo=UTC)),
        ("1795794666", datetime(2026, 11, 27, 15, 51, 6, tzinfo=UTC)),
    ],
)
def test_times_of_responses_are_those_of_botocore(text: Any, expected: datetime) -> None:
    """The fast parser of clients returns the moment that botocore's own returns, with a time zone."""
    parsed = session.parse_time(text)
    assert parsed == parse_timestamp(text) == expected
    assert parsed.utcoffset() is not None


def test_clients_use_the_fast_parser(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing of S3 has the times that the fast parser made, which are in Python's own UTC."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    s3 = session.client("s3")
    s3.create_bucket(Bucket="times")
    s3.put_object(Bucket="times", Key="a", Body=b"1")
    assert s3.list_objects_v2(Bucket="times")["Contents"][0]["LastModified"].tzinfo is UTC
