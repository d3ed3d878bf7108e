"""Counting rows, labels and frauds per day in the lake, with the rules of the Prepare step."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from ml.aws.import_manifest import Source
from ml.aws.labels import coverage, join, store
from ml.aws.lake import Lake
from tests.harness.aws import moto_server

FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = pa.schema([("event_id", pa.string()), ("label", pa.int8()), ("known_at", pa.timestamp("us", "UTC"))])


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty lake."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def land(events: list[tuple[str, datetime]], known: list[tuple[str, int, datetime]], number: int = 1) -> None:
    """Stores an import with its labels."""
    ids, times = zip(*events, strict=True)
    table = pa.table(
        {
            "event_id": pa.array(ids),
            "event_time": pa.array(times, pa.timestamp("us", "UTC")),
            "Amount": pa.array([1.0] * len(ids)),
        }
    )
    source = Source(name="x.parquet", sha256="0" * 64, bytes=1)
    rows: list[Any] = [dict(zip(SCHEMA.names, each, strict=True)) for each in known]
    Lake("lake").store(
        table,
        pa.Table.from_pylist(rows, schema=SCHEMA),
        source=source,
        content_sha256=f"{number:064x}",
        duplicates=0,
        quarantined=0,
    )


def counts(
    as_of: datetime, start: datetime = FIRST - DAY, end: datetime = FIRST + 9 * DAY
) -> dict[date, tuple[int, ...]]:
    """Rows, labelled rows and frauds by day."""
    found = coverage.by_day("lake", start, end, as_of=as_of)
    return {each.day: (each.rows, each.labelled, each.frauds) for each in found}


def test_labels_count_from_the_time_they_are_known() -> None:
    """Labels of the import, late labels and a correction count; a label known after `as_of` does not."""
    land(
        [("a", FIRST), ("b", FIRST), ("c", FIRST + DAY), ("d", FIRST + DAY)],
        [("a", 0, FIRST), ("b", 1, FIRST)],
    )
    late = [("a", 1, FIRST + 3 * DAY), ("c", 1, FIRST + 3 * DAY), ("d", 0, FIRST + 8 * DAY)]
    rows: list[Any] = [dict(zip(SCHEMA.names, each, strict=True)) for each in late]
    join.deliver("lake", pa.Table.from_pylist(rows, schema=SCHEMA))
    day, after = FIRST.date(), FIRST.date() + DAY
    assert counts(FIRST + DAY) == {day: (2, 2, 1), after: (2, 0, 0)}
    assert counts(FIRST + 4 * DAY) == {day: (2, 2, 2), after: (2, 1, 1)}
    assert counts(FIRST + 9 * DAY) == {day: (2, 2, 2), after: (2, 2, 1)}


def test_fraud_wins_between_labels_of_the_same_time() -> None:
    """The training data uses the same rule."""
    land([("a", FIRST)], [("a", 0, FIRST + DAY)])
    join.deliver("lake", pa.Table.from_pylist([{"event_id": "a", "label": 1, "known_at": FIRST + DAY}], schema=SCHEMA))
    assert counts(FIRST + 2 * DAY) == {FIRST.date(): (1, 1, 1)}


def test_findings_of_analysts_are_no_coverage() -> None:
    """An event that only analysts labelled has no label; with a chargeback label, a fraud in either is a fraud."""
    land([("a", FIRST), ("b", FIRST), ("c", FIRST)], [("a", 0, FIRST), ("b", 1, FIRST)])
    rows: list[Any] = [
        {"event_id": name, "label": label, "known_at": FIRST + DAY, "channel": "analyst"}
        for name, label in (("a", 1), ("b", 0), ("c", 1))
    ]
    join.deliver("lake", pa.Table.from_pylist(rows, schema=store.DELIVERED_SCHEMA))
    assert counts(FIRST) == {FIRST.date(): (3, 2, 1)}
    assert counts(FIRST + 2 * DAY) == {FIRST.date(): (3, 2, 2)}


def test_events_count_once_and_only_inside_the_window() -> None:
    """Two overlapping imports contain one event twice; days outside of the window are left out."""
    land([("a", FIRST), ("b", FIRST + DAY)], [("a", 1, FIRST), ("b", 1, FIRST + DAY)])
    land([("b", FIRST + DAY), ("c", FIRST + 2 * DAY)], [("b", 1, FIRST + DAY), ("c", 0, FIRST + 2 * DAY)], 2)
    found = counts(FIRST + 9 * DAY, start=FIRST + timedelta(hours=1))
    assert found == {FIRST.date() + DAY: (1, 1, 1), FIRST.date() + 2 * DAY: (1, 1, 0)}


def test_empty_lake_has_no_days() -> None:
    """An import without labels gives a day without labelled rows."""
    assert counts(FIRST) == {}
    assert coverage.first_event("lake") is None
    land([("a", FIRST)], [])
    assert counts(FIRST + DAY) == {FIRST.date(): (1, 0, 0)}
    assert coverage.first_event("lake") == FIRST
