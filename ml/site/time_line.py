"""Orders what happened: alarms, requests, suppressed ones, failures, approvals, deployments, rollbacks.

Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from ml.aws.drift_check_store import SuppressedRequest
from ml.config import ApprovalRecord
from ml.gitops import approval_decision, commit_messages, gate_lines
from ml.gitops.commit_messages import KINDS
from ml.site import request_causes
from ml.site.values import Event, Evidence, GateFailure, Period, Request

_ORDER = (
    "alarm",
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
    requests: Sequence[Request],
    failures: Iterable[GateFailure],
    suppressed: Sequence[SuppressedRequest] | None = (),
    *,
    evidence: Mapping[int, Evidence] = MappingProxyType({}),
) -> tuple[Event, ...]:
    """Every event, newest first.

    Args:
        suppressed: None if the lake was not read.
        evidence: of the approvals; without it an approval has what its record alone says.
    """
    found = [
        *(event for period in periods for event in _of_period(period, records, evidence)),
        *(_of_request(each, suppressed) for each in requests),
        *(_of_failure(each) for each in failures),
        *(_of_suppressed(each, requests) for each in suppressed or ()),
    ]
    return tuple(sorted(found, key=lambda event: (event.at, _ORDER.index(event.kind)), reverse=True))


def number(approval: int) -> str:
    """An approval's number as it is written everywhere, e.g. 0002."""
    return f"{approval:04d}"


def _of_period(period: Period, records: dict[int, ApprovalRecord], evidence: Mapping[int, Evidence]) -> Iterator[Event]:
    approval = period.approval
    if approval is None:
        yield Event(
            at=period.merged,
            kind="nothing",
            title="The pointer was set to nothing",
            detail=f"{_reason(period)}. What serves goes on serving.",
            model=None,
            commit=period.commit,
        )
    elif period.rollback:
        yield Event(
            at=period.merged,
            kind="rollback",
            title=f"Rollback to model {number(approval)}",
            detail=f"{_why_back(period, approval)} {_people(period)}",
            model=approval,
            commit=period.commit,
        )
    else:
        record = records.get(approval)
        why = f"{_decided_on(record, evidence.get(approval))} {_kind(record)}" if record else ""
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


def _of_request(item: Request, suppressed: Sequence[SuppressedRequest] | None) -> Event:
    resolved = item.resolution
    parts = (request_causes.outcome(item), request_causes.raised(item, suppressed), request_causes.rule(item))
    return Event(
        at=item.landed.time,
        kind="request",
        title=request_causes.title(item),
        detail=" ".join([*filter(None, parts), item.request.reason]),
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


def _of_suppressed(item: SuppressedRequest, requests: Sequence[Request]) -> Event:
    return Event(
        at=item.first,
        kind="alarm" if item.raised_by == "alarm" else "suppressed request",
        title=request_causes.held_back_title(item),
        detail=request_causes.held_back(item, requests),
        model=item.approval,
        commit=None,
    )


def _people(period: Period) -> str:
    pull = period.pull
    if pull is None:
        return f"Merged by {period.author}."
    reviewers = " and ".join(pull.approved_by) or "nobody"
    return f"Pull request #{pull.number}, approved by {reviewers}, merged by {pull.merged_by}."


def _reason(period: Period) -> str:
    """Why the pointer was moved: the title of its pull request; without one, the subject of its commit."""
    return (period.pull.title if period.pull is not None else period.subject).rstrip(".")


def _why_back(period: Period, approval: int) -> str:
    """The reason of a rollback; that there is none, if its pull request has the title of a rollback by hand."""
    reason = _reason(period)
    by_hand = commit_messages.rollback_title(approval, failed=None)
    return f"{reason}. Its pull request gives no reason." if reason == by_hand else f"{reason}."


def _decided_on(record: ApprovalRecord, evidence: Evidence | None) -> str:
    """What the reviewer knew: better or worse than the champion, and in what the evidence cannot tell."""
    evaluation = evidence.evaluation if evidence is not None else None
    if evaluation is None:
        compared = [f"{record.champion.reason.rstrip('.')}."] if record.champion is not None else []
        return " ".join([_first_sentence(record.verdict.reason), *compared])
    decision = approval_decision.decision(record, evaluation)
    return " ".join([f"{decision[:1].upper()}{decision[1:]}.", *gate_lines.reservations(evaluation)])


def _kind(record: ApprovalRecord) -> str:
    return f"{KINDS[record.kind].capitalize()}."


def _smoke(smoke: dict[str, object] | None) -> str:
    if smoke is None or "rows" not in smoke:
        return ""
    return f"The smoke test scored {smoke['rows']} known transactions."


def _first_sentence(text: str) -> str:
    head, separator, _ = text.partition(". ")
    return f"{head}." if separator else text
