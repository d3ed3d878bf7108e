"""What the pages of the site show. Values only.

A figure, a text or a part that is None or empty was not available; `Site.missing` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ml import config
from ml.aws.deployment_records import Deployment
from ml.aws.drift_check_store import SuppressedRequest
from ml.gitops.merged_pulls import MergedPull
from ml.gitops.repository import Commit
from ml.records.retrain_requests import Resolution
from ml.report.judged_rows import JudgedRows

Kind = Literal[
    "approval",
    "rollback",
    "nothing",
    "alarm",
    "request",
    "suppressed request",
    "gate failure",
    "deployment",
    "failed deployment",
]

_DAYS_AROUND_A_WHOLE_ONE = 2
"""From the first to the last day with rows, of which both may be parts of a day."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """One move of the serving pointer: to an approval, or to nothing (None).

    `start` and `end` are when the model began and ceased to serve; None if it never did, has not ceased, or if the
    deployments were not read.
    """

    approval: int | None
    rollback: bool
    commit: str
    """The commit that brought the move to main, with its author, time and subject."""
    author: str
    merged: datetime
    subject: str
    pull: MergedPull | None
    deployments: tuple[Deployment, ...]
    start: datetime | None
    end: datetime | None
    replaced: str
    disagreements: tuple[str, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A retrain request, the commit that brought it, and the record that resolved it; None if it is open."""

    name: str
    request: config.RetrainRequest
    landed: Commit
    resolution: Resolution | None


@dataclass(frozen=True, kw_only=True)
class GateFailure:
    """The record of a training run whose model failed the gate, and the commit that brought it."""

    record: config.GateFailureRecord
    landed: Commit


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What registry and lake have of an approval.

    `calibration` is that of the drift reference: edges of scores, rows and frauds between them. `picture` is a PNG.
    `missing` says which of them could not be read, and why. `registered` is the digest of the archive that the registry
    names, as it was read at `compared`.
    """

    evaluation: Mapping[str, Any] | None
    calibration: Mapping[str, Any] | None
    picture: bytes | None
    missing: tuple[str, ...]
    registered: str | None = None
    compared: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class DriftState:
    """A stored drift check: what it found in a window, the alerts that the model raised in it, and its report."""

    name: str
    start: datetime
    end: datetime
    evaluated: datetime
    approval: int
    headline: str
    """What happened, in a sentence without a full stop."""
    overlap: str
    """That days of this window are part of the drift reference, in a sentence; '' if none is."""
    lines: tuple[str, ...]
    """What fired, one line each."""
    kind: Literal["drift", "no data", "no drift"]
    rows: int
    decided: int
    """Rows with a captured decision."""
    alerts: int
    judged: JudgedRows | None
    """The rows that scores and labels are of; None if the model scored every row of the window."""
    label_days: int
    """Days with rows of the model that labels can be joined to, and those whose labels are mature."""
    mature_days: int
    concept_tested: bool
    """Whether enough labels were mature to test for concept drift."""
    recall: tuple[float, float, float] | None
    """Recall estimated without labels, with its interval; None if it was not estimated."""
    fired: tuple[str, ...]
    """The kinds of drift that were found."""
    shifts: Mapping[str, float]
    """How far each input is from the reference: Kolmogorov-Smirnov, for text Jensen-Shannon distance."""
    drifted: frozenset[str]
    """The inputs that count as drifted."""
    report: bytes | None
    """The report's page; None if it could not be read, then `report_missing` says why."""
    report_missing: str

    @property
    def page(self) -> str:
        """The place of the report's copy in the site."""
        return f"drift/{self.name}.html"

    @property
    def decided_all(self) -> bool:
        """Whether the model decided every row of the window."""
        return self.decided == self.rows and self.judged is None

    @property
    def transactions_a_day(self) -> float | None:
        """The rows of a day of the window; None if there are none, or if it is shorter than a day."""
        days = (self.end - self.start).total_seconds() / 86_400
        return self.rows / days if self.rows and days >= 1 else None

    @property
    def alerts_a_day(self) -> float | None:
        """The share of alerts times the transactions of a day; None without a whole day that the model decided.

        A part of the window stands for it only if it has a day between its first and its last, and as many rows as a
        day has: the hours of a night are not like a day's.
        """
        traffic = self.transactions_a_day
        if traffic is None or self.decided < traffic:
            return None
        if self.judged is not None:
            days = self.judged.days
            if days is None or (days[1] - days[0]).days < _DAYS_AROUND_A_WHOLE_ONE:
                return None
        return self.alerts / self.decided * traffic


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the time line. `model` is the approval that it is about; `commit` the commit that it is."""

    at: datetime
    kind: Kind
    title: str
    detail: str
    model: int | None
    commit: str | None


@dataclass(frozen=True, kw_only=True)
class AlarmState:
    """An alarm of CloudWatch as the account had it.

    `state` is CloudWatch's (OK, ALARM, INSUFFICIENT_DATA), or MISSING if the stack's alarm was removed.
    """

    name: str
    state: str
    since: datetime | None
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Site:
    """The content of the site at `built`, from main at `commit`."""

    built: datetime
    commit: str
    endpoint: str
    periods: tuple[Period, ...]
    """Oldest first."""
    records: Mapping[int, config.ApprovalRecord]
    evidence: Mapping[int, Evidence]
    requests: tuple[Request, ...]
    """Oldest first."""
    gate_failures: tuple[GateFailure, ...]
    checks: tuple[DriftState, ...]
    """The drift checks, by the end of their windows."""
    alarms: tuple[AlarmState, ...] | None
    """The alarms of the platform, those in alarm first; None if they were not read."""
    drift_rules: config.DriftFile
    """monitoring/drift.yaml of main."""
    gate: config.GateFile
    """training/gate.yaml of main."""
    year: bytes | None
    """The page of a simulated year; None if there is none."""
    simulated: bool
    """Whether traffic, labels and dates are simulated: the site is that of a demo."""
    scripted_reviewer: str | None
    """The name of a reviewer that is a script; None if all are people, as far as is known."""
    local_user: str | None
    """The user as whom a local GitHub merges and pushes; None on GitHub itself."""
    next_check: datetime | None
    """None if drift.yml has no daily schedule."""
    events: tuple[Event, ...]
    """Newest first."""
    suppressed: tuple[SuppressedRequest, ...] | None
    """Retrain requests that were due and not created, oldest first; None if the lake was not read."""
    offline: bool
    """Whether Git alone was read."""
    missing: tuple[str, ...]
    """What could not be read, a sentence each."""
    disagreements: tuple[str, ...]
    """Where sources say different things, those of the periods included."""

    @property
    def simulation(self) -> str:
        """What every page says at its top, if the site is that of a demo; otherwise empty."""
        parts = (
            ["A demo on emulators: its traffic, labels and dates are simulated, and so are all figures."]
            if self.simulated
            else []
        )
        if self.scripted_reviewer is not None:
            parts.append(f"The reviewer {self.scripted_reviewer} is a script, not a person.")
        if self.local_user is not None:
            parts.append(f"{self.local_user} is the local GitHub's own user: what the demo merges has its name.")
        return " ".join(parts)

    @property
    def drift(self) -> DriftState | None:
        """The latest drift check."""
        return self.checks[-1] if self.checks else None

    @property
    def current(self) -> Period | None:
        """What serves; offline, what Git names. None if there is nothing."""
        if self.offline:
            last = self.periods[-1] if self.periods else None
            return last if last is not None and last.approval is not None else None
        return next((each for each in reversed(self.periods) if each.start is not None and each.end is None), None)

    @property
    def serving_check(self) -> DriftState | None:
        """The latest drift check of what serves, in a window in which it served; of all checks if nothing serves.

        After a deployment there is none: the latest check is of the model before.
        """
        current = self.current
        if current is None or current.start is None:
            return self.drift
        own = (each for each in reversed(self.checks) if each.approval == current.approval)
        return next((each for each in own if each.end > current.start), None)

    @property
    def open_requests(self) -> tuple[Request, ...]:
        """The requests that no record resolves."""
        return tuple(each for each in self.requests if each.resolution is None)
