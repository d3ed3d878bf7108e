"""The result of a drift check: its verdicts, the requests it created, and whether traffic arrives. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.drift.retrain_requester import Asked


@dataclass(frozen=True, kw_only=True)
class WindowVerdict:
    """A window's verdict."""

    start: datetime
    end: datetime
    approval: int
    verdicts: tuple[str, ...]
    rows: int
    reasons: tuple[str, ...]
    new: bool
    """Whether it was judged in this check, or stands as it was."""
    report: str


@dataclass(frozen=True, kw_only=True)
class NoTraffic:
    """That nothing was captured for longer than drift.yaml allows."""

    since: datetime
    hours: float


@dataclass(frozen=True, kw_only=True)
class DriftCheckResult:
    """What a check found, and what came of it. `judged` has the window that was asked for last."""

    verdict: str
    reason: str
    endpoint: str
    start: datetime
    end: datetime
    approval: int | None
    judged: tuple[WindowVerdict, ...]
    due: tuple[str, ...]
    """The kinds of drift that ask for a new model."""
    requests: tuple[Asked, ...]
    silence: NoTraffic | None
