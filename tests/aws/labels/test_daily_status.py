"""Labels by day: coverage and delay of each channel, frauds, and when a day is mature."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pyarrow as pa
import pytest

from ml.aws.labels import daily_status, store
from ml.aws.labels.daily_status import ChannelStatus, DayStatus
from tests.harness.aws import lake_content, moto_server

DAY = timedelta(days=1)
FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 20, tzinfo=UTC)
ENDPOINT = "production"


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of its own."""
    moto_server.point_at(server, monkeypatch)
    return moto_server.make_bucket(f"status-{uuid4().hex}")


def label(bucket: str, channel: str, known: datetime, **labels: int) -> None:
    """Delivers labels that become known together."""
    rows = [{"event_id": each, "label": value, "known_at": known, "channel": channel} for each, value in labels.items()]
    store.deliver(bucket, pa.Table.from_pylist(rows, schema=store.DELIVERED_SCHEMA))


def by_day(bucket: str, *, as_of: datetime = NOW, days: int = 10) -> dict[date, DayStatus]:
    """The status of `days` days from the first."""
    found = daily_status.by_day(
        bucket,
        ENDPOINT,
        FIRST.date(),
        FIRST.date() + (days - 1) * DAY,
        as_of=as_of,
        min_coverage=0.75,
        min_age_days=7,
    )
    return {each.day: each for each in found}


def test_each_channel_has_its_share_and_delay(bucket: str) -> None:
    """The delay is that of an event's first label, also after a correction. Frauds are those of both channels."""
    lake_content.store_transactions(bucket, dict.fromkeys("abcd", FIRST))
    label(bucket, "analyst", FIRST + 2 * DAY, a=1)
    label(bucket, "chargeback", FIRST + 5 * DAY, a=0, b=0)
    label(bucket, "chargeback", FIRST + 9 * DAY, b=1, c=0)
    label(bucket, "chargeback", NOW + DAY, d=1)
    (day,) = by_day(bucket).values()
    assert day == DayStatus(
        day=FIRST.date(),
        source="transactions",
        rows=4,
        frauds=2,
        chargeback=ChannelStatus(labelled=3, share=0.75, median_days=5),
        analyst=ChannelStatus(labelled=1, share=0.25, median_days=2),
        age_days=18,
        mature=True,
        reason="",
    )


def test_day_is_mature_by_coverage_and_age(bucket: str) -> None:
    """Findings of analysts are no coverage; the reason names what is missing."""
    lake_content.store_transactions(bucket, {"a": FIRST, "b": FIRST + DAY})
    label(bucket, "chargeback", FIRST + 2 * DAY, a=0)
    label(bucket, "analyst", FIRST + 2 * DAY, b=1)
    found = by_day(bucket, as_of=datetime(2026, 3, 8, 12, tzinfo=UTC))
    assert [(each.mature, each.reason) for each in found.values()] == [
        (False, "6.5 days old, 7 are needed"),
        (False, "5.5 days old, 7 are needed; 0 of 1 rows have a label, 75% are needed"),
    ]
    assert [each.mature for each in by_day(bucket).values()] == [True, False]


def test_scored_rows_count_where_a_day_is_indexed(bucket: str) -> None:
    """The lake's transactions of that day are left out, and those of other days count once."""
    events = {"a": FIRST, "b": FIRST, "x": FIRST + DAY, "outside": FIRST + 10 * DAY, "before": FIRST - DAY}
    lake_content.store_transactions(bucket, events)
    lake_content.store_transactions(bucket, {"x": FIRST + DAY, "y": FIRST + DAY})
    lake_content.store_scored_rows(bucket, ENDPOINT, FIRST.date(), ["a", "r#0", "r#1"])
    label(bucket, "chargeback", FIRST + 3 * DAY, **{"a": 1, "b": 1, "r#1": 0, "x": 0})
    found = by_day(bucket)
    assert [(each.source, each.rows, each.frauds, each.chargeback.labelled) for each in found.values()] == [
        ("scored rows", 3, 1, 2),
        ("transactions", 2, 0, 1),
    ]


def test_empty_lake_has_no_days(bucket: str) -> None:
    """Neither transactions nor scored rows."""
    assert by_day(bucket) == {}
