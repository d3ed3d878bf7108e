"""What a cluster counts of a window equals what one process counts, and it refuses what that refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml.aws import s3_objects
from ml.aws.capture.summary_request import REQUEST, SUMMARY, UNREADABLE
from ml.drift import traffic_aggregation
from ml.spark import drift
from ml.spark.cluster import OneProcess
from tests.harness.aws import moto_server
from tests.spark import captured_window
from tests.spark.captured_window import DAYS, END, ENDPOINT, LIMITS, NOW, START, Traffic

Json = dict[str, Any]


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket with a window of traffic and labels."""
    moto_server.point_at(server, monkeypatch)
    made = moto_server.make_bucket(f"spark-{uuid4().hex}")
    Traffic(made).lay()
    return made


def single(bucket: str) -> Json:
    """What one process counts."""
    summary, labels, counts = traffic_aggregation.read(
        bucket, ENDPOINT, (START, END), model=captured_window.model(), limits=LIMITS, now=NOW
    )
    assert labels is not None
    document = {"summary": summary.to_dict(), "label_summary": labels.to_dict(), "counts": counts}
    found: Json = json.loads(json.dumps(document))
    return found


def test_counts_are_those_of_one_process(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In many parts and few rows a bucket; the window has every kind of line, repeated ids and corrected labels."""
    monkeypatch.setattr(drift, "BUCKET_ROWS", 300)
    request = captured_window.requested(bucket)
    assert len(request.parts()) > DAYS
    base = tmp_path / "processing"
    assert drift.main(OneProcess(), captured_window.laid(request, base)) == 0
    found, expected = json.loads((base / "summary" / SUMMARY).read_text()), single(bucket)
    assert found == expected
    traffic, labels = expected["counts"]["traffic"], expected["counts"]["labels"]
    assert (traffic["unreadable_lines"], traffic["smoke_lines"], traffic["outside"]) == (2, 1, 1)
    assert (set(traffic["other_models"]), labels["repeated"]) == ({"0002"}, 3)
    assert sum(day["mature"] for day in labels["days"]) == DAYS - 1
    for uri in traffic["kept_aside"]:
        name = uri.partition("/unreadable/")[2]
        assert (base / "summary" / UNREADABLE / name).read_bytes() == s3_objects.read(uri)


def test_request_that_was_replaced_is_refused(bucket: str, tmp_path: Path) -> None:
    """The digest is an argument of the job, so who may write the object cannot change what is counted."""
    base = tmp_path / "processing"
    arguments = captured_window.laid(captured_window.requested(bucket), base)
    (base / "request" / REQUEST).write_text("{}")
    assert drift.main(OneProcess(), arguments) == 1
    assert "request.json: expected sha256" in (tmp_path / "output/message").read_text()


def test_captured_object_that_was_replaced_is_refused(bucket: str, tmp_path: Path) -> None:
    """As in one process, where S3 answers that the version has changed."""
    base, request = tmp_path / "processing", captured_window.requested(bucket)
    arguments = captured_window.laid(request, base)
    with (base / "capture" / request.objects[3].key).open("ab") as file:
        file.write(b"more\n")
    assert drift.main(OneProcess(), arguments) == 1
    assert "was replaced while the window was read" in (tmp_path / "output/message").read_text()


def test_bad_labels_are_refused_with_the_reason_of_one_process(bucket: str, tmp_path: Path) -> None:
    """A label that is neither 0 nor 1."""
    base, request = tmp_path / "processing", captured_window.requested(bucket)
    arguments = captured_window.laid(request, base)
    file = base / "labels" / request.labels[0]
    table = pq.read_table(file)
    pq.write_table(table.set_column(1, "label", pa.array([2] * len(table), pa.int8())), file)
    assert drift.main(OneProcess(), arguments) == 1
    assert "a label that is neither 0 nor 1" in (tmp_path / "output/message").read_text()
