"""The kept rows of a window: they join with labels as the captured rows do, and only for the same traffic and model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.aws import s3_objects
from ml.aws.capture.captured_batches import Batch
from ml.aws.labels import join, store
from ml.aws.labels.window_rows import WindowRows
from ml.aws.session import client
from ml.errors import CloudError, DataError
from tests.harness.aws import moto_server
from tests.harness.fuzzing import examples

DAY = datetime(2026, 3, 1, tzinfo=UTC)
LATER = DAY + timedelta(days=60)
Captured = tuple[str | None, int, float, str]
"""Id, hours after the beginning of the window, score, version."""


@pytest.fixture
def rows(server: str, monkeypatch: pytest.MonkeyPatch) -> WindowRows:
    """The rows of a week in a bucket of its own; none are kept yet."""
    moto_server.point_at(server, monkeypatch)
    return kept_in(moto_server.make_bucket(f"rows-{uuid4().hex}"))


def kept_in(bucket: str) -> WindowRows:
    """The rows of a week of an endpoint."""
    return WindowRows(
        bucket=bucket,
        endpoint="fraud",
        start=DAY,
        end=DAY + timedelta(days=7),
        capture={"objects": 3, "bytes": 900},
        artifact_sha256="ab" * 32,
    )


def batch(captured: Sequence[Captured]) -> Batch:
    """Captured rows with distinct amounts; a score of -1 is none."""
    ids, hours, scores, versions = zip(*captured, strict=True)
    scored = np.where(np.array(scores) < 0, np.nan, scores)
    return Batch(
        names=("Amount",),
        inputs=np.asfortranarray(np.arange(len(ids), dtype=np.float64)[:, None]),
        scores=scored,
        decisions=np.where(np.isnan(scored), -1, scored >= 0.5).astype(np.int8),
        times=np.datetime64("2026-03-01", "us") + np.array(hours).astype("timedelta64[h]"),
        event_ids=pa.array(ids, pa.string()),
        model_versions=pa.array(versions, pa.string()),
        inference_ids=pa.array([None] * len(ids), pa.string()),
    )


def deliver(bucket: str, ids: Sequence[str], *, known: datetime) -> None:
    """Labels of `ids`, every second one a fraud."""
    values = pa.array([place % 2 for place in range(len(ids))], pa.int8())
    times = pa.array([known] * len(ids))
    names = ["event_id", "label", "known_at"]
    join.deliver(bucket, pa.table([pa.array(ids, pa.string()), values, times], names=names).cast(store.SCHEMA))


def matured(joined: join.Join) -> Any:
    """All that a join says about its rows at `LATER`."""
    result = joined.mature(as_of=LATER, min_coverage=0.0, min_age_days=0.0)
    labelled = [
        (label, score, decision, moment, amount, version)
        for some in result.rows(4)
        for label, score, decision, moment, amount, version in zip(
            some.labels.tolist(),
            some.scores.tolist(),
            some.decisions.tolist(),
            some.times.tolist(),
            some.columns["Amount"].tolist(),
            some.model_versions.to_pylist(),
            strict=True,
        )
    ]
    return result.days, result.repeated, result.without_id, result.without_score, sorted(labelled)


@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    captured=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c", "d", None]),
            st.integers(0, 160),
            st.sampled_from([0.1, 0.5, 0.7, -1.0]),
            st.sampled_from(["1", "2"]),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_kept_rows_join_later_labels_as_the_traffic_does(rows: WindowRows, captured: list[Captured]) -> None:
    """Days, labelled rows and all counts, of rows without id or score and of ids that were captured twice too."""
    own = kept_in(moto_server.make_bucket(f"rows-{uuid4().hex}"))
    with join.join(own.bucket, keep=["Amount"]) as first:
        first.add(batch(captured))
        assert matured(first)[-1] == []
        own.keep(first)
    deliver(own.bucket, ["a", "b", "c"], known=DAY + timedelta(days=9))
    with join.join(own.bucket, keep=["Amount"]) as second, join.join(own.bucket, keep=["Amount"]) as traffic:
        assert own.restore(second)
        traffic.add(batch(captured))
        assert matured(second) == matured(traffic)


def test_same_rows_have_the_same_bytes(rows: WindowRows) -> None:
    """In any order of their capture."""
    captured: list[Captured] = [("b", 2, 0.7, "1"), ("a", 2, 0.2, "1"), ("c", 1, 0.1, "2")]
    contents = set()
    for order in (captured, captured[::-1]):
        with join.join(rows.bucket) as joined:
            joined.add(batch(order))
            matured_days = joined.mature(as_of=LATER, min_coverage=0.0, min_age_days=0.0).days
            rows.keep(joined)
        contents.add(s3_objects.read(f"s3://{rows.bucket}/{rows.key}"))
    assert len(matured_days) == 1
    assert len(contents) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"capture": {"objects": 4, "bytes": 900}},
        {"capture": {"objects": 3, "bytes": 901}},
        {"artifact_sha256": "cd" * 32},
    ],
)
def test_rows_of_other_traffic_or_of_another_model_are_not_used(rows: WindowRows, changed: dict[str, Any]) -> None:
    """Nothing is added to the join."""
    with join.join(rows.bucket) as joined:
        joined.add(batch([("a", 1, 0.7, "1")]))
        joined.mature(as_of=LATER, min_coverage=0.0, min_age_days=0.0)
        rows.keep(joined)
    with join.join(rows.bucket) as other:
        assert not replace(rows, **changed).restore(other)
        assert other.rows == 0
        assert rows.restore(other)


def test_missing_rows_are_not_an_error_and_a_missing_bucket_is(rows: WindowRows) -> None:
    """The traffic is read where nothing is kept; a lake that cannot be read is reported."""
    with join.join(rows.bucket) as joined:
        assert not rows.restore(joined)
    with join.join(rows.bucket) as joined, pytest.raises(CloudError, match="NoSuchBucket"):
        replace(rows, bucket=f"none-{uuid4().hex}").restore(joined)


def test_damaged_rows_are_named_with_the_remedy(rows: WindowRows) -> None:
    """The error has the object's address and says that deleting it is safe."""
    with join.join(rows.bucket) as joined:
        joined.add(batch([("a", 1, 0.7, "1")]))
        joined.mature(as_of=LATER, min_coverage=0.0, min_age_days=0.0)
        rows.keep(joined)
    metadata = client("s3").head_object(Bucket=rows.bucket, Key=rows.key)["Metadata"]
    client("s3").put_object(Bucket=rows.bucket, Key=rows.key, Body=b"no Parquet", Metadata=metadata)
    with join.join(rows.bucket) as joined, pytest.raises(DataError, match=r"window-rows/.*parquet: not .*; delete it"):
        rows.restore(joined)
