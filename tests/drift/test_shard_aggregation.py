"""New labels are joined with the rows of an earlier job, if that has counted exactly what is in the window now."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from ml.aws import s3_objects
from ml.aws.capture.summary_request import REQUEST
from ml.aws.session import client
from ml.drift import counting_job, shard_aggregation, traffic_aggregation
from ml.drift.approved_model import Model
from ml.drift.shard_aggregation import Found
from tests.harness.aws import moto_server
from tests.shards.divided_window import counted
from tests.spark import captured_window
from tests.spark.captured_window import END, ENDPOINT, LIMITS, NOW, START, Traffic

JOB = "fraudops-drift-1"
WINDOW = START, END


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A lake with a window, and the files of a job of two instances that has counted it without labels."""
    moto_server.point_at(server, monkeypatch)
    made = moto_server.make_bucket(f"again-{uuid4().hex}")
    Traffic(made).lay()
    asked = replace(captured_window.requested(made), labels=())
    below = f"s3://{made}/monitoring/{ENDPOINT}/jobs/{JOB}"
    s3_objects.write(f"{below}/request/{REQUEST}", asked.to_json().encode(), "application/json")
    for name, content in counted(asked, tmp_path).items():
        s3_objects.write(f"{below}/summary/{name}", content, "application/json")
    return made


def again(bucket: str, *, name: str = JOB, model: Model | None = None) -> Found | None:
    """The counts from the rows of the job."""
    return shard_aggregation.read_again(
        name, bucket, ENDPOINT, WINDOW, model=model or captured_window.model(), limits=LIMITS, now=NOW
    )


def test_counts_are_those_of_one_process(bucket: str) -> None:
    """The job had read no label, so all labels are new."""
    found = again(bucket)
    expected = traffic_aggregation.read(bucket, ENDPOINT, WINDOW, model=captured_window.model(), limits=LIMITS, now=NOW)
    assert found is not None
    assert found[1] is not None
    assert expected[1] is not None
    assert (found[0].to_dict(), found[1].to_dict()) == (expected[0].to_dict(), expected[1].to_dict())
    assert json.loads(json.dumps(found[2])) == json.loads(json.dumps(expected[2]))
    assert sum(day["labelled"] for day in found[2]["labels"]["days"]) > 0


def test_late_or_replaced_traffic_needs_a_new_job(bucket: str) -> None:
    """An object that came late, and one that was replaced by one of the same size, are not in the rows."""
    key = captured_window.requested(bucket).objects[0].key
    late = f"{key.rpartition('/')[0]}/late.jsonl"
    content = s3_objects.read(f"s3://{bucket}/{key}")
    s3_objects.write(f"s3://{bucket}/{late}", content, "application/json")
    assert again(bucket) is None
    client("s3").delete_object(Bucket=bucket, Key=late)
    assert again(bucket) is not None
    s3_objects.write(f"s3://{bucket}/{key}", content[:-2] + b" \n", "application/json")
    assert again(bucket) is None


def test_rows_of_another_model_or_version_or_expired_ones_need_a_new_job(bucket: str) -> None:
    """So do those of a job of Spark, which leaves a summary alone."""
    other = replace(captured_window.model(), amount=None)
    assert again(bucket, model=other) is None
    assert again(bucket, name="fraudops-drift-2") is None
    below = f"monitoring/{ENDPOINT}/jobs/{JOB}"
    counts = f"{below}/summary/algo-2/counts.json"
    document = json.loads(s3_objects.read(f"s3://{bucket}/{counts}"))
    del document["version"]
    del document["summary"]["hours"]  # an earlier form
    s3_objects.write(f"s3://{bucket}/{counts}", json.dumps(document).encode(), "application/json")
    assert again(bucket) is None
    client("s3").delete_object(Bucket=bucket, Key=counts)
    assert again(bucket) is None
    client("s3").delete_object(Bucket=bucket, Key=f"{below}/request/{REQUEST}")
    assert again(bucket) is None


def test_files_that_cannot_be_used_need_a_new_job(bucket: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that are missing or cut, and counts that are cut: the check goes on, and says which file it was."""
    below = f"monitoring/{ENDPOINT}/jobs/{JOB}/summary/"
    job = counting_job.earlier(bucket, ENDPOINT, JOB)
    assert job is not None
    assert shard_aggregation.PROGRAM.problem(job) is None
    for name in ("algo-1/rows/000000.arrows", "algo-2/counts.json"):
        uri = f"s3://{bucket}/{below}{name}"
        content = s3_objects.read(uri)
        s3_objects.write(uri, content[:-1], "application/json")
        assert again(bucket) is None
        assert f"the traffic is read again: {name}: " in capsys.readouterr().err
        assert (shard_aggregation.PROGRAM.problem(job) or "").startswith(f"{name}: ")
        s3_objects.write(uri, content, "application/json")
        assert again(bucket) is not None
    client("s3").delete_object(Bucket=bucket, Key=f"{below}algo-1/rows/000000.arrows")
    assert again(bucket) is None
    assert "algo-1/rows/000000.arrows: is missing" in (shard_aggregation.PROGRAM.problem(job) or "")
