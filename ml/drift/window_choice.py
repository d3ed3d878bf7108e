"""The training window of a retrain request, or why there is none yet. Values only: reads and chooses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class TrainingWindow:
    """A window of event time with its labelled rows and frauds."""

    start: datetime
    end: datetime
    rows: int
    """Rows with a label."""
    frauds: int
    test_frauds: int
    """Frauds in the test part of the split: a lower bound."""
    grown_days: int
    """Days that the window starts before the onset."""


@dataclass(frozen=True, kw_only=True)
class NotEnoughLabels:
    """There is no such window yet. `reason` is the text after the state `suppressed`."""

    reason: str
