"""The labels of given events, by the rule of training."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from ml.aws import s3_objects
from ml.aws.labels import known_labels, store
from ml.errors import DataError
from tests.harness.aws import moto_server

DAY = timedelta(days=1)
SCORED = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def lake(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty bucket."""
    moto_server.reset(server)
    moto_server.point_at(server, monkeypatch)
    moto_server.make_bucket("lake")


def deliver(label: int, days: int, channel: str, *ids: str) -> None:
    """Delivers a label of each event, known some days after the scoring."""
    values = [
        pa.array(ids),
        pa.array([label] * len(ids), pa.int8()),
        pa.array([SCORED + days * DAY] * len(ids), pa.timestamp("us", "UTC")),
        pa.array([channel] * len(ids)),
    ]
    store.deliver("lake", pa.table(values, schema=store.DELIVERED_SCHEMA))


def read(days: int, *ids: str) -> dict[str, int]:
    """The labels of `ids` that are known some days after the scoring."""
    return known_labels.read("lake", ids, start=SCORED, as_of=SCORED + days * DAY)


def test_labels_count_once_they_are_known_and_not_from_analysts_alone() -> None:
    """A finding of an analyst makes a fraud of an event with a chargeback label; others are left out."""
    assert read(9, "a") == {}
    deliver(1, 2, "analyst", "a", "b")
    deliver(0, 5, "chargeback", "a", "c", "e")
    deliver(1, 30, "chargeback", "c")
    assert read(3, "a", "b", "c") == {}
    assert read(9, "a", "a", "b", "c", "d") == {"a": 1, "c": 0}
    assert read(40, "a", "c") == {"a": 1, "c": 1}
    assert read(40) == {}


def test_damaged_label_file_is_an_error() -> None:
    """An object that is no Parquet file below labels/ is a data error, as in a join."""
    s3_objects.write("s3://lake/labels/mine/x.parquet", b"no Parquet", "application/octet-stream")
    with pytest.raises(DataError, match="cannot be joined"):
        read(1, "a")
