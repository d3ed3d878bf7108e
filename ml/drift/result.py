"""The result of a drift check: its verdicts, the requests it created, and whether traffic arrives. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.drift.retrain_requester import RequestOutcome


@dataclass(frozen=True, kw_only=True)
class WindowVerdict:
    """The verdict on one window, as the verb reports it."""

    start: datetime
    end: datetime
    approval: int
    verdicts: tuple[str, ...]
    rows: int
    reasons: tuple[str, ...]
    new: bool
    """Whether this check judged it; else the stored verdict is still valid."""
    report: str


@dataclass(frozen=True, kw_only=True)
class NoTraffic:
    """No traffic was captured for longer than drift.yaml allows."""

    since: datetime
    hours: float


@dataclass(frozen=True, kw_only=True)
class DriftCheckResult:
    """Verdicts and request outcomes of a check. The last of `judged` is the named (or latest) window."""

    verdict: str
    reason: str
    endpoint: str
    start: datetime
    end: datetime
    approval: int | None
    judged: tuple[WindowVerdict, ...]
    due: tuple[str, ...]
    """The kinds of drift that call for a new model."""
    requests: tuple[RequestOutcome, ...]
    silence: NoTraffic | None
