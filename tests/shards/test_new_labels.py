"""New labels, joined with the rows that a counting job has left, give the counts of a check from nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from ml.aws.labels import join, store
from ml.drift import traffic_aggregation
from ml.errors import DataError
from ml.shards import bucket_files, new_labels
from ml.shards.merge import Merged, merge
from tests.shards.divided_window import counted, in_turn
from tests.shards.test_merge import Json, plain
from tests.spark import captured_window
from tests.spark.captured_window import END, ENDPOINT, LIMITS, NOW, START

LATER = NOW + timedelta(days=3)


def deliver(bucket: str, rows: list[tuple[str, int, datetime]]) -> None:
    """Labels of chargebacks that come after the job."""
    ids, labels, known = zip(*rows, strict=True)
    columns = [pa.array(ids), pa.array(labels, pa.int8()), pa.array(known, pa.timestamp("us", "UTC"))]
    channels = pa.array([store.CHARGEBACK] * len(rows), pa.string())
    store.deliver(bucket, pa.table([*columns, channels], schema=store.DELIVERED_SCHEMA))


def from_nothing(bucket: str, now: datetime) -> Json:
    """What one process counts that reads the traffic."""
    found = traffic_aggregation.read(
        bucket, ENDPOINT, (START, END), model=captured_window.model(), limits=LIMITS, now=now
    )
    return plain(Merged(summary=found[0], label_summary=found[1], counts=found[2]))


@pytest.mark.parametrize("instances", [1, 3])
def test_counts_are_those_of_a_check_from_nothing(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instances: int
) -> None:
    """Corrections, first labels of an immature day, and labels of the job's files that were not yet known then."""
    monkeypatch.setattr(bucket_files, "_BUCKET_BYTES", 30_000)
    request = replace(captured_window.requested(bucket), instances=instances)
    files = counted(request, tmp_path / "job", in_turn)
    before = plain(merge(request, files, files.__getitem__))
    last = END - timedelta(days=1)
    deliver(
        bucket,
        [
            (f"{last:%m%d}{hour:02}-{n}#{row}", row % 2, NOW)
            for hour in (5, 9, 13, 17)
            for n in range(4)
            for row in range(20)
        ],
    )
    deliver(bucket, [(f"{START:%m%d}05-0#{row}", 1, NOW + timedelta(hours=1)) for row in range(20)])
    (tmp_path / "labels").mkdir()
    monkeypatch.setattr(bucket_files, "_BUCKET_BYTES", 60_000)  # the job ran code with other buckets
    found = new_labels.join(
        request,
        files,
        files.__getitem__,
        join.label_paths(bucket, START, tmp_path / "labels"),
        as_of=LATER,
        min_coverage=LIMITS.min_coverage,
        min_age_days=LIMITS.min_age_days,
    )
    expected = from_nothing(bucket, LATER)
    assert plain(found) == expected
    assert expected["label_summary"] != before["label_summary"]
    mature = [sum(day["mature"] for day in each["counts"]["labels"]["days"]) for each in (before, expected)]
    assert mature[1] > mature[0]
    assert not [*(tmp_path / "labels").iterdir()]


def test_bad_label_file_is_refused_with_its_name(bucket: str, tmp_path: Path) -> None:
    """As the job would, and as one process does."""
    request = captured_window.requested(bucket)
    files = counted(request, tmp_path)
    bad = tmp_path / "labels.parquet"
    bad.write_bytes(b"no Parquet file")
    with pytest.raises(DataError, match=r"^s3://lake/labels/new: is not a file of event_id, label and known_at"):
        new_labels.join(
            request, files, files.__getitem__, [("s3://lake/labels/new", bad)],
            as_of=NOW, min_coverage=0.9, min_age_days=7,
        )  # fmt: skip
