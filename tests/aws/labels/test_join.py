"""Joining captured rows with late labels: deliveries in any order, corrections, and mature days."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.aws import s3_objects
from ml.aws.capture.captured_batches import Batch
from ml.aws.import_manifest import Source
from ml.aws.labels import join as labels
from ml.aws.labels import store
from ml.aws.labels.join import Join
from ml.aws.lake import Lake
from ml.aws.session import client
from ml.errors import DataError
from ml.model.drift.label_counts import LabelSummary, Outcomes
from tests.harness.aws import moto_server
from tests.harness.fuzzing import examples

DAY = datetime(2026, 3, 1, tzinfo=UTC)
LATER = DAY + timedelta(days=60)
Row = tuple[str | None, int, datetime]


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"labels-{uuid4().hex}")


def table(rows: Sequence[Row]) -> pa.Table:
    """Labels as they are delivered."""
    ids, values, known = zip(*rows, strict=True)
    return pa.table(
        {"event_id": pa.array(ids, pa.string()), "label": pa.array(values, pa.int8()), "known_at": pa.array(known)},
        schema=store.SCHEMA,
    )


def findings(rows: Sequence[Row]) -> pa.Table:
    """The same as findings of analysts."""
    channel = pa.array([store.ANALYST] * len(rows), pa.string())
    return table(rows).append_column(store.DELIVERED_SCHEMA.field("channel"), channel)


def batch(
    ids: Sequence[str | None], times: Sequence[datetime], scores: Sequence[float] | None = None, version: str = "0001"
) -> Batch:
    """Captured rows with distinct amounts."""
    scored = np.array(scores if scores is not None else [0.75] * len(ids))
    return Batch(
        names=("Time", "Amount"),
        inputs=np.asfortranarray([[0.0, float(place)] for place in range(len(ids))]),
        scores=scored,
        decisions=(scored >= 0.5).astype(np.int8),
        times=np.array([moment.replace(tzinfo=None) for moment in times], "datetime64[us]"),
        event_ids=pa.array(ids, pa.string()),
        model_versions=pa.array([version] * len(ids)),
        inference_ids=pa.array([None] * len(ids), pa.string()),
    )


def found(join: Join, **more: Any) -> tuple[labels.Labelled, dict[float, tuple[int, float, int]]]:
    """The mature labels, and label, score and decision of the rows by amount."""
    rules: dict[str, Any] = {"as_of": LATER, "min_coverage": 0.0, "min_age_days": 0.0}
    result = join.mature(**rules | more)
    rows = {
        amount: (label, score, decision)
        for some in result.rows(3)
        for amount, label, score, decision in zip(
            some.columns["Amount"].tolist(),
            some.labels.tolist(),
            some.scores.tolist(),
            some.decisions.tolist(),
            strict=True,
        )
    }
    return result, rows


def test_equal_labels_are_stored_once(bucket: str) -> None:
    """Equal labels in any order are one object with one name; the manifest has counts and time span."""
    rows: list[Row] = [("b", 1, DAY), ("a", 0, DAY + timedelta(hours=1)), ("b", 0, DAY + timedelta(days=3))]
    first = labels.deliver(bucket, table(rows))
    again = labels.deliver(bucket, table(rows[::-1]))
    assert (first.new, again.new, first.uri) == (True, False, again.uri)
    assert first.name.startswith("late-20260301-")
    assert first.uri == f"s3://{bucket}/labels/{first.name}/labels.parquet"
    (listed,) = labels.deliveries(bucket)
    assert (listed.rows, listed.frauds, listed.first, listed.last) == (3, 1, DAY, DAY + timedelta(days=3))
    stored = pq.read_table(io.BytesIO(s3_objects.read(first.uri)))
    assert stored.schema.equals(store.DELIVERED_SCHEMA)
    assert set(stored["channel"].to_pylist()) == {store.CHARGEBACK}
    assert stored["event_id"].to_pylist() == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", 2, DAY)], r"labels: row 1, column label: must be 0 or 1 \(got 2; 1 such\)"),
        ([("a", 0, DAY), (None, 1, DAY)], r"row 2, column event_id: must be text \(got None; 1 such\)"),
        ([("", 0, DAY)], r"column event_id: must be text \(got ''; 1 such\)"),
        ([("a", None, DAY)], r"column label: must be 0 or 1 \(got None; 1 such\)"),
        ([("a", 0, None)], r"column known_at: must be a time \(got None; 1 such\)"),
    ],
)
def test_delivery_that_breaks_the_contract_is_refused(bucket: str, rows: Any, message: str) -> None:
    """The message names row, column and value, and nothing is written."""
    with pytest.raises(DataError, match=message):
        labels.deliver(bucket, table(rows))
    with pytest.raises(DataError, match="must have the columns"):
        labels.deliver(bucket, pa.table({"event_id": ["a"]}))
    with pytest.raises(DataError, match="at least one label"):
        labels.deliver(bucket, store.SCHEMA.empty_table())
    assert client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_rows_and_labels_are_joined_by_id(bucket: str) -> None:
    """Score, decision and kept columns are returned; rows without label, id or score are left out and counted."""
    labels.deliver(bucket, table([("a", 1, DAY), ("b", 0, DAY), ("unknown", 1, DAY), ("s", 1, DAY)]))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a", "b", "c", None], [DAY] * 4, [0.75, 0.25, 0.5, 0.5]))
        join.add(batch(["s"], [DAY], [float("nan")]))
        result, rows = found(join)
        assert rows == {0.0: (1, 0.75, 1), 1.0: (0, 0.25, 0)}
        (day,) = result.days
        assert (day.day, day.rows, day.labelled, day.frauds, day.coverage) == (date(2026, 3, 1), 3, 2, 1, 2 / 3)
        assert (result.without_id, result.without_score, result.repeated) == (1, 1, 0)


def test_labels_of_an_import_count_as_well(bucket: str) -> None:
    """Labels stored with an import count, and a later delivery corrects them."""
    transactions = pa.table(
        {
            "event_id": ["a", "b"],
            "event_time": pa.array([DAY, DAY], pa.timestamp("us", "UTC")),
            "Time": [0.0, 0.0],
            "Amount": [0.0, 1.0],
        }
    )
    source = Source(name="a.csv", bytes=1, sha256="0" * 64)
    known = table([("a", 0, DAY), ("b", 0, DAY)])
    Lake(bucket).store(transactions, known, source=source, content_sha256="ab" * 32, duplicates=0, quarantined=0)
    labels.deliver(bucket, table([("b", 1, DAY + timedelta(days=9))]))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a", "b"], [DAY] * 2))
        assert {amount: row[0] for amount, row in found(join)[1].items()} == {0.0: 0, 1.0: 1}


@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    deliveries=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 1), st.integers(0, 5), st.integers(0, 2)),
        min_size=1,
        max_size=12,
    ),
    limit=st.integers(0, 6),
)
def test_latest_known_label_wins_in_any_delivery_order(
    server: str, deliveries: list[tuple[str, int, int, int]], limit: int
) -> None:
    """Of the labels known at `as_of` the latest wins; of two with the same time, fraud wins."""
    with pytest.MonkeyPatch.context() as patch:
        moto_server.point_at(server, patch)
        bucket = moto_server.make_bucket(f"labels-{uuid4().hex}")
        for number in sorted({delivery for *_, delivery in deliveries}, reverse=True):
            delivery = [
                (name, label, DAY + timedelta(days=day)) for name, label, day, which in deliveries if which == number
            ]
            labels.deliver(bucket, table(delivery))
        expected = {
            place: max((day, label) for name, label, day, _ in deliveries if name == wanted and day <= limit)[1]
            for place, wanted in enumerate("abc")
            if any(name == wanted and day <= limit for name, _, day, _ in deliveries)
        }
        with labels.join(bucket, keep=["Amount"]) as join:
            join.add(batch(["a", "b", "c"], [DAY - timedelta(days=1)] * 3))
            _, rows = found(join, as_of=DAY + timedelta(days=limit))
        assert {int(amount): row[0] for amount, row in rows.items()} == expected


@pytest.mark.parametrize(
    ("chargebacks", "found_by_analysts", "expected"),
    [
        ([0], [1], 1),  # a blocked transaction brings no dispute
        ([1], [0], 1),  # the analyst missed it
        ([0], [1, 0], 0),  # the analyst corrected the finding
        ([1, 0], [0], 0),  # the dispute was withdrawn
        ([0], [], 0),
        ([], [1], None),  # an alert only: it has no label that stands for all transactions
        ([], [0, 1], None),
    ],
)
def test_fraud_in_either_channel_is_fraud_and_alerts_alone_are_no_label(
    bucket: str, chargebacks: list[int], found_by_analysts: list[int], expected: int | None
) -> None:
    """The latest label of each channel counts; coverage counts the chargeback channel alone."""
    for labelled, made in ((chargebacks, table), (found_by_analysts, findings)):
        for place, label in enumerate(labelled):
            labels.deliver(bucket, made([("a", label, DAY + timedelta(days=place))]))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a"], [DAY]))
        result, rows = found(join)
    assert [day.labelled for day in result.days] == [0 if expected is None else 1]
    assert [row[0] for row in rows.values()] == ([] if expected is None else [expected])


def test_unknown_channel_is_refused(bucket: str) -> None:
    """In a delivery by row and value, in any other file below labels/ by its URI."""
    rows = findings([("a", 1, DAY)])
    rows = rows.set_column(3, rows.schema.field(3), pa.array(["police"]))
    with pytest.raises(DataError, match=r"row 1, column channel: must be analyst or chargeback \(got 'police'; 1 such"):
        labels.deliver(bucket, rows)
    sink = io.BytesIO()
    pq.write_table(rows, sink)
    client("s3").put_object(Bucket=bucket, Key="labels/bank/x.parquet", Body=sink.getvalue())
    with labels.join(bucket) as join:
        join.add(batch(["a"], [DAY]))
        with pytest.raises(DataError, match=r"labels/bank/x.parquet: 1 rows have .* neither analyst nor chargeback"):
            found(join)


def test_day_is_mature_by_age_and_coverage(bucket: str) -> None:
    """Age counts from the day's end, coverage over rows with an id; an immature day gives no rows."""
    days = [DAY, DAY + timedelta(days=1), DAY + timedelta(days=2)]
    ids = [f"{day:%d}-{n}" for day in days for n in range(10)]
    times = [day + timedelta(hours=n) for day in days for n in range(10)]
    known: list[Row] = [
        (name, 0, DAY + timedelta(days=3)) for name in ids if not name.startswith("02") or name < "02-9"
    ]
    labels.deliver(bucket, table(known))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(ids, times))
        as_of = DAY + timedelta(days=32)
        result, rows = found(join, as_of=as_of, min_coverage=0.95, min_age_days=30)
        assert [day.mature for day in result.days] == [True, False, False]
        assert [day.age_days for day in result.days] == [31.0, 30.0, 29.0]
        assert result.days[1].reason == "9 of 10 rows have a label, 95% are needed"
        assert result.days[2].reason == "29.0 days old, 30 are needed"
        assert sorted(rows) == [float(n) for n in range(10)]
        assert len(result.mature_days) == 1 and len(result.immature_days) == 2
        result, rows = found(join, as_of=as_of, min_coverage=0.9, min_age_days=30)
        assert sorted(rows) == [float(n) for n in range(19)]


def test_coverage_equal_to_the_minimum_is_enough(bucket: str) -> None:
    """14 of 25 rows are 56 %, in the join and in the verdict, although 0.56 * 25 exceeds 14 in float64."""
    ids = [f"e{n}" for n in range(25)]
    labels.deliver(bucket, table([(name, 0, DAY + timedelta(days=1)) for name in ids[:14]]))
    with labels.join(bucket) as join:
        join.add(batch(ids, [DAY] * 25))
        (day,) = join.mature(as_of=DAY + timedelta(days=9), min_coverage=0.56, min_age_days=7).days
    counted = replace(Outcomes.none(1), rows=day.rows, labelled=day.labelled)
    again = LabelSummary(bands=1, days={day.day: counted})
    assert day.mature
    assert list(again.mature(as_of=DAY + timedelta(days=9), min_coverage=0.56, min_age_days=7).days) == [day.day]


def test_labels_known_after_as_of_are_ignored(bucket: str) -> None:
    """A join in the past uses the labels known then."""
    labels.deliver(bucket, table([("a", 0, DAY + timedelta(days=1)), ("a", 1, DAY + timedelta(days=5))]))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a"], [DAY]))
        assert found(join, as_of=DAY + timedelta(hours=25))[1][0.0][0] == 0
        assert found(join, as_of=DAY + timedelta(days=5))[1][0.0][0] == 1
        assert found(join, as_of=DAY + timedelta(hours=23))[1] == {}


def test_repeated_row_counts_once_with_its_last_answer(bucket: str) -> None:
    """The client acted on the last answer."""
    labels.deliver(bucket, table([("a", 1, DAY + timedelta(days=1))]))
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a"], [DAY + timedelta(seconds=9)], [0.25]))
        join.add(batch(["a"], [DAY], [0.75]))
        result, rows = found(join)
        assert rows == {0.0: (1, 0.25, 0)}
        assert result.repeated == 1


def test_any_parquet_file_with_labels_counts(bucket: str) -> None:
    """Every Parquet file under labels/ with the three columns counts; another file is an error that names it."""
    body = io.BytesIO()
    pq.write_table(table([("a", 1, DAY)]), body)
    client("s3").put_object(Bucket=bucket, Key="labels/from-the-bank/march.parquet", Body=body.getvalue())
    with labels.join(bucket, keep=["Amount"]) as join:
        join.add(batch(["a"], [DAY]))
        assert found(join)[1] == {0.0: (1, 0.75, 1)}
        client("s3").put_object(Bucket=bucket, Key="labels/from-the-bank/bad.parquet", Body=b"no")
        with pytest.raises(DataError, match=r"labels/from-the-bank/bad.parquet: is not a file of event_id, label"):
            found(join)
        body = io.BytesIO()
        pq.write_table(pa.table({"event_id": ["a"], "label": [7], "known_at": pa.array([DAY])}), body)
        client("s3").put_object(Bucket=bucket, Key="labels/from-the-bank/bad.parquet", Body=body.getvalue())
        with pytest.raises(DataError, match=r"bad.parquet: 1 rows have no event_id, no known_at, a label"):
            found(join)


def test_without_traffic_or_labels_nothing_is_mature(bucket: str) -> None:
    """Without rows there are no days; without labels days are immature unless the minima are 0."""
    with labels.join(bucket) as join:
        assert found(join)[0].days == ()
        join.add(batch([None, None], [DAY] * 2))
        assert found(join)[0].days == ()
        join.add(batch(["a"], [DAY]))
        assert not join.mature(as_of=LATER, min_coverage=0.5, min_age_days=1).mature_days


def test_join_fetches_no_delivery_from_before_the_traffic(bucket: str) -> None:
    """A label cannot be known before its event, and the manifest has the last time of its labels."""
    old = labels.deliver(bucket, table([("a", 1, DAY - timedelta(days=9))]))
    new = labels.deliver(bucket, table([("a", 0, DAY + timedelta(days=9))]))
    fetched: set[str] = set()

    def record(params: dict[str, str], **_: object) -> None:
        if params["Key"].endswith(".parquet"):
            fetched.add(params["Key"])

    events = client("s3").meta.events
    events.register("provide-client-params.s3.GetObject", record)
    try:
        with labels.join(bucket, keep=["Amount"]) as join:
            join.add(batch(["a"], [DAY]))
            found(join)
    finally:
        events.unregister("provide-client-params.s3.GetObject", record)
    assert fetched == {f"labels/{new.name}/labels.parquet"}
    assert old.name != new.name


def test_damaged_manifest_is_an_error(bucket: str) -> None:
    """The error names the manifest."""
    client("s3").put_object(Bucket=bucket, Key="labels/late-20260301-x/manifest.json", Body=b"{}")
    with pytest.raises(DataError, match=r"labels/late-20260301-x/manifest.json: is not the manifest of a delivery"):
        labels.deliveries(bucket)
    document = {"format": 2} | json.loads(_manifest(bucket))
    assert document["format"] == 1


def _manifest(bucket: str) -> bytes:
    delivered = labels.deliver(bucket, table([("a", 1, DAY)]))
    return s3_objects.read(f"s3://{bucket}/labels/{delivered.name}/manifest.json")
