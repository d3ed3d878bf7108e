"""The result of a drift check: its verdicts, the requests it created, and whether traffic arrives. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.drift.concept_alarm import ConceptAlarm
from ml.drift.drift_case import RequestOutcome
from ml.drift.missing_labels import NoLabels


@dataclass(frozen=True, kw_only=True)
class WindowVerdict:
    """The verdict of one window."""

    start: datetime
    end: datetime
    approval: int
    verdicts: tuple[str, ...]
    rows: int
    reasons: tuple[str, ...]
    new: bool
    """Whether this check evaluated the window; otherwise the stored verdict was still current."""
    report: str


@dataclass(frozen=True, kw_only=True)
class NoTraffic:
    """No traffic was captured for longer than drift.yaml allows."""

    since: datetime
    hours: float


@dataclass(frozen=True, kw_only=True)
class DriftCheckResult:
    """The result of a drift check. The last item of `windows` is the window that was asked for."""

    verdict: str
    reason: str
    endpoint: str
    start: datetime
    end: datetime
    approval: int | None
    windows: tuple[WindowVerdict, ...]
    causes: tuple[str, ...]
    """The kinds of drift for which a retrain is due."""
    requests: tuple[RequestOutcome, ...]
    no_traffic: NoTraffic | None
    no_labels: NoLabels | None
    """What labels are missing; None if those of old windows are mature."""
    concept_alarm: ConceptAlarm | None
    """The daily concept test; None if no day since the serving model's reference has ended."""
