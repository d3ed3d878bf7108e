"""When an adapted model is adapted again: from three times the days that its part for new patterns was fitted on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ml.drift.repeated_adaptation import onset
from ml.model.model_document import KNOWN, NEW
from ml.model.run_kinds import ADAPT, FIT, THRESHOLD

FIRST = datetime(2026, 7, 1, tzinfo=UTC)
REFERENCE = {
    "fitted": [
        {"start": "2025-01-01T00:00:00Z", "end": "2025-09-01T00:00:00Z"},
        {"start": "2026-07-01T00:03:10Z", "end": "2026-07-11T00:00:00Z"},
    ]
}


def due(days: float, **changes: Any) -> datetime | None:
    """The onset `days` after the first day; ten days were fitted, and at most 75 would be."""
    options = {"patterns": (KNOWN, NEW), "kind": ADAPT, "adapt_days": 75} | changes
    patterns, kind = options.pop("patterns"), options.pop("kind")
    return onset(REFERENCE, patterns, kind, now=FIRST + timedelta(days=days), **options)


@pytest.mark.parametrize(("days", "found"), [(29.9, None), (30, FIRST), (44.9, FIRST), (45, None), (400, None)])
def test_repeated_from_three_times_the_fitted_days(days: float, found: datetime | None) -> None:
    """Due from day 30 until day 45 of a model that was fitted on ten days, so that one failure is not repeated."""
    assert due(days) == found


def test_longest_window_ends_the_repetitions() -> None:
    """A window that is as long as it may be adds no rows."""
    assert due(40, adapt_days=40) == FIRST
    assert due(40, adapt_days=39) is None


@pytest.mark.parametrize("changes", [{"patterns": (KNOWN,)}, {"kind": FIT}, {"kind": THRESHOLD}])
def test_only_an_adaptation_with_a_new_pattern_is_repeated(changes: dict[str, Any]) -> None:
    """A model without an expert, a fitted one, and one whose threshold alone is new are not adapted again."""
    assert due(30, **changes) is None
