"""Columns of transactions for tests, in the ULB layout unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ml.model import time_units
from ml.model.training_settings import Columns, TimeColumn

ULB_TIME = TimeColumn(column="Time", unit=time_units.SECONDS_SINCE_START, zone="UTC")


def ulb_columns(features: Iterable[str], **changes: Any) -> Columns:
    """Time in seconds since a start, `features`, Amount and the label Class; `changes` replace fields."""
    plain: dict[str, Any] = {
        "label": "Class",
        "time": ULB_TIME,
        "amount": "Amount",
        "event_id": None,
        "entity": None,
        "features": tuple(features),
        "categories": (),
        "keep": (),
    }
    return Columns(**plain | changes)
