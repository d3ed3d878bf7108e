"""Orders what happened: requests, suppressed requests, failures, approvals, deployments, rollbacks. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from ml.aws.drift_check_store import SuppressedRequest
from ml.config import ApprovalRecord
from ml.gitops.commit_messages import KINDS
from ml.site import request_causes, wording
from ml.site.values import Event, GateFailure, Period, Request

_ORDER = (
    "suppressed request",
    "request",
    "gate failure",
    "approval",
    "rollback",
    "nothing",
    "failed deployment",
    "deployment",
)
"""Of events at the same time."""


def events(
    periods: Iterable[Period],
    records: dict[int, ApprovalRecord],
    requests: Iterable[Request],
    failures: Iterable[GateFailure],
    suppressed: Iterable[SuppressedRequest] = (),
) -> tuple[Event, ...]:
    """Every event, newest first."""
    found = [
        *(event for period in periods for event in _of_period(period, records)),
        *(_of_request(each) for each in requests),
        *(_of_failure(each) for each in failures),
        *(_of_suppressed(each) for each in suppressed),
    ]
    return tuple(sorted(found, key=lambda event: (event.at, _ORDER.index(event.kind)), reverse=True))


def number(approval: int) -> str:
    """An approval's number as it is written everywhere, e.g. 0002."""
    return f"{approval:04d}"


def _of_period(period: Period, records: dict[int, ApprovalRecord]) -> Iterator[Event]:
    approval = period.approval
    if approval is None:
        yield Event(
            at=period.merged,
            kind="nothing",
            title="The pointer was set to nothing",
            detail=f"{period.subject}. What serves goes on serving.",
            model=None,
            commit=period.commit,
        )
    elif period.rollback:
        yield Event(
            at=period.merged,
            kind="rollback",
            title=f"Rollback to model {number(approval)}",
            detail=f"{period.subject}. {_people(period)}",
            model=approval,
            commit=period.commit,
        )
    else:
        record = records.get(approval)
        why = f"{_first_sentence(record.verdict.reason)} {KINDS[record.kind].capitalize()}." if record else ""
        yield Event(
            at=period.merged,
            kind="approval",
            title=f"Model {number(approval)} was approved",
            detail=f"{_people(period)} {why}".strip(),
            model=approval,
            commit=period.commit,
        )
    for item in period.deployments:
        succeeded = item.status == "succeeded"
        yield Event(
            at=datetime.fromisoformat(item.finished),
            kind="deployment" if succeeded else "failed deployment",
            title=f"Model {number(item.approval)} was deployed"
            if succeeded
            else f"Deployment of model {number(item.approval)} failed",
            detail=_smoke(item.smoke) if succeeded else item.reason,
            model=item.approval,
            commit=item.commit,
        )


def _of_request(item: Request) -> Event:
    resolved = item.resolution
    return Event(
        at=item.landed.time,
        kind="request",
        title=request_causes.title(item),
        detail=f"{request_causes.outcome(item)} {item.request.reason}",
        model=None if resolved is None or resolved.gate_failed else int(resolved.record.stem),
        commit=item.landed.sha,
    )


def _of_failure(item: GateFailure) -> Event:
    asked = ", ".join(item.record.requests)
    return Event(
        at=item.record.created,
        kind="gate failure",
        title="A model failed the gate and was not proposed",
        detail=f"{item.record.verdict.reason}{f' It was trained for request {asked}.' if asked else ''}",
        model=None,
        commit=item.landed.sha,
    )


def _of_suppressed(item: SuppressedRequest) -> Event:
    again = f", the last time on {wording.day(item.latest)}" if item.latest.date() > item.first.date() else ""
    due = f"A drift check of model {number(item.approval)} found that one is due{again}."
    return Event(
        at=item.first,
        kind="suppressed request",
        title=f"No retrain was requested: {item.cause.replace('-', ' ')}",
        detail=f"{due} What held it back: {item.reason.rstrip('.')}.",
        model=item.approval,
        commit=None,
    )


def _people(period: Period) -> str:
    pull = period.pull
    if pull is None:
        return f"Merged by {period.author}."
    reviewers = " and ".join(pull.approved_by) or "nobody"
    return f"Pull request #{pull.number}, approved by {reviewers}, merged by {pull.merged_by}."


def _smoke(smoke: dict[str, object] | None) -> str:
    if smoke is None or "rows" not in smoke:
        return ""
    return f"The smoke test scored {smoke['rows']} known transactions."


def _first_sentence(text: str) -> str:
    head, separator, _ = text.partition(". ")
    return f"{head}." if separator else text
