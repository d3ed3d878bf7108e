"""A bucket with a window of traffic and labels."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from ml.aws.session import client
from tests.aws.capture import captured_lines
from tests.harness.aws import moto_server
from tests.harness.platform import monitored
from tests.spark.captured_window import ENDPOINT, OWN, START, Traffic


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The window of the tests on Spark, and one id that is captured in three objects at the same time."""
    moto_server.point_at(server, monkeypatch)
    made = moto_server.make_bucket(f"shards-{uuid4().hex}")
    Traffic(made).lay()
    moment, kind = START + timedelta(hours=9), "application/json"
    for name, score in (("x-1", 0.2), ("x-2", 0.8), ("x-3", 0.1)):
        row = dict.fromkeys(monitored.COLUMNS.inputs, 1.0)
        body = f'{{"instances": [{str(row).replace(chr(39), chr(34))}]}}'
        answer = captured_lines.predictions([score], version=OWN)
        line = captured_lines.line((body, kind), (answer, kind), at=moment, inference_id="030105-1")
        key = f"capture/{ENDPOINT}/AllTraffic/{moment:%Y/%m/%d/%H}/{name}.jsonl"
        client("s3").put_object(Bucket=made, Key=key, Body=line + b"\n")
    return made
