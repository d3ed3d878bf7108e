"""`fraudops shadow`: scores a copy of production's traffic with the model of staging, and compares them. Serves nobody.

The requests are those that production answered and captured since the model was deployed to staging, for the hours that
production's roll-out states. The result is a document in staging's lake; production's is only read. A run continues
where one before it stopped, and a run after the end of the time adds the labels that have become known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ml import clock, config
from ml.aws import platform_stack
from ml.aws.capture import captured_requests
from ml.aws.capture.captured_requests import RequestSample
from ml.aws.labels import known_labels, maturity
from ml.aws.shadow_store import ShadowStore
from ml.console import note, stage
from ml.errors import CloudError, Refused
from ml.gitops import approvals, commit_messages, promotions, serving_pointer
from ml.gitops.markdown_escaping import text
from ml.gitops.promotions import NothingToPromote
from ml.gitops.repository import Repository
from ml.records import model_archive
from ml.release import shadow_comparison, shadow_page, shadow_scoring, shadow_verdict, staged_deployment
from ml.release.shadow_comparison import ComparedRows
from ml.workflow import runner_commands

NOT_NEEDED, NOTHING = "not needed", "nothing to promote"
_AGAIN = "gh workflow run deploy-staging.yml --field deploy=false"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class ShadowResult:
    """A comparison as it was stored. `decision` is wait, reject, no objection, or no objection yet."""

    approval: int
    champion: int
    decision: str
    says: str
    start: datetime
    end: datetime
    compared_hours: float
    requests: int
    """Requests that were sent, of this run or of one before."""
    rows: int
    """Transactions that both models scored."""
    labelled: int
    uri: str


@dataclass(frozen=True, kw_only=True)
class NotDue:
    """Nothing was compared, and why.

    `decision` is `wait` before the end of the time, `not needed` if a promotion needs no comparison, or `nothing to
    promote` if production serves or served what staging has, or staging has nothing.
    """

    decision: str
    says: str


@dataclass(frozen=True, kw_only=True)
class _Plan:
    record: config.ApprovalRecord
    champion: config.ApprovalRecord
    production: config.ServingFile
    settings: config.Shadow
    staged: staged_deployment.StagedDeployment
    lake: str
    now: datetime

    @property
    def start(self) -> datetime:
        """When staging began to serve the archive."""
        return self.staged.since

    @property
    def end(self) -> datetime:
        """The end of the stated time."""
        return self.start + self.settings.hours * _HOUR

    @property
    def until(self) -> datetime:
        """The end of what this run compares."""
        return min(self.now, self.end)


def shadow_if_due(root: Path, *, main: str = "main") -> ShadowResult | NotDue:
    """As `shadow`, once the stated time is over; before, or if nothing is to be promoted, it says so and does nothing.

    Raises: as `shadow`. What waiting does not change is refused, and is no `wait`. CloudError also if requests fail
        with server errors after the time: the comparison is stored, and nothing but another run completes it.
    """
    repository = Repository.find(root)
    found = _not_due(repository, main)
    if found is None:
        result = shadow(root, main=main)
        if result.decision == shadow_verdict.WAIT:
            raise CloudError(
                f"the shadow of approval {commit_messages.number(result.approval)} is not complete after its time: "
                f"{result.says}. No run starts by itself: run `{_AGAIN}`, or `fraudops shadow` and `fraudops promote`"
            )
        return result
    runner_commands.output(decision=found.decision)
    runner_commands.summary(f"### No comparison: {found.decision}\n\n{text(found.says)}")
    return found


def _not_due(repository: Repository, main: str) -> NotDue | None:
    try:
        record = promotions.candidate(repository, main)
    except NothingToPromote as error:
        return NotDue(decision=NOTHING, says=str(error))
    production = serving_pointer.read(repository, main)
    settings = production.rollout.shadow
    if settings is None or production.approval is None:
        why = "its roll-out has no shadow" if settings is None else "it serves nothing yet"
        return NotDue(decision=NOT_NEEDED, says=f"production needs no comparison: {why}")
    staged = staged_deployment.find(record, serving_pointer.read(repository, main, config.STAGING))
    end = staged.since + settings.hours * _HOUR
    if clock.now() >= end:
        return None
    return NotDue(
        decision=shadow_verdict.WAIT,
        says=f"approval {record.approval:04d} is in staging since {clock.stamp(staged.since)}; its {settings.hours} "
        f"hours end at {clock.stamp(end)}",
    )


def shadow(root: Path, *, main: str = "main") -> ShadowResult:
    """Scores a copy of production's captured requests with the model of staging, and stores the comparison.

    Raises:
        Refused: production's roll-out has no shadow, production serves nothing, staging does not serve the approval
            that its pointer names, that one cannot be promoted, no request was captured, or the capture of a comparison
            that exists was deleted.
        CloudError: AWS refuses or cannot be reached. Run it again: what was scored is kept.
        DataError, ArtifactError: labels or the model in production cannot be read.
    """
    platform_stack.refuse_root()
    repository = Repository.find(root)
    plan = _plan(repository, main)
    store = ShadowStore(plan.staged.where.bucket, plan.staged.latest)
    number = commit_messages.number(plan.record.approval)
    with stage(f"Reading what {plan.production.endpoint} answered since {clock.stamp(plan.start)}"):
        sample = _sample(plan, store)
    note(f"{sample.requests:,} requests, {len(sample.chosen):,} of them in the sample")
    with stage(f"Scoring them with approval {number} in staging"):
        answers = shadow_scoring.score(plan.staged.latest.endpoint, number, sample.chosen, store)
    errors = Counter(str(answer.status) for answer in answers.values() if answer.status != 200)
    with stage("Looking up the labels"):
        ids = sorted({row.event_id for request in sample.chosen for row in request.rows if row.event_id is not None})
        labels = known_labels.read(plan.lake, ids, start=plan.start - _DAY, as_of=plan.now)
    rows = ComparedRows.of(sample.chosen, answers, labels)
    document = _document(plan, sample, rows, dict(errors), config.load_drift(repository.root).labels)
    document["failing_since"] = _failing_since(plan, dict(errors), store.comparison())
    document["decision"], document["reason"] = shadow_verdict.decide(document)
    uri = store.write(document)
    runner_commands.output(decision=document["decision"])
    runner_commands.summary(shadow_page.comment(document, uri))
    return ShadowResult(
        approval=plan.record.approval,
        champion=plan.champion.approval,
        decision=document["decision"],
        says=document["reason"],
        start=plan.start,
        end=plan.end,
        compared_hours=document["window"]["compared_hours"],
        requests=len(sample.chosen),
        rows=len(rows),
        labelled=document["labels"]["labelled"],
        uri=uri,
    )


def _plan(repository: Repository, main: str) -> _Plan:
    record = promotions.candidate(repository, main)
    production = serving_pointer.read(repository, main)
    if production.rollout.shadow is None:
        raise Refused(
            f"{config.SERVING} states no rollout.shadow, so there is nothing to compare; add it (docs/staging.md)"
        )
    if production.approval is None:
        raise Refused("production serves nothing, so there is no traffic to copy; `fraudops promote` needs none")
    champion = approvals.read_record(repository, main, production.approval)
    if champion is None:
        raise Refused(f"{config.SERVING} names approval {production.approval:04d}, which has no record on {main}")
    staged = staged_deployment.find(record, serving_pointer.read(repository, main, config.STAGING))
    now = clock.now()
    if now <= staged.since:
        raise Refused(f"staging serves approval {record.approval:04d} since {clock.stamp(staged.since)}; run it later")
    return _Plan(
        record=record,
        champion=champion,
        production=production,
        settings=production.rollout.shadow,
        staged=staged,
        lake=platform_stack.read().bucket,
        now=now,
    )


def _sample(plan: _Plan, store: ShadowStore) -> RequestSample:
    """The requests to copy; Refused if there are none, or fewer than an earlier comparison found."""
    model = model_archive.read_approved(plan.champion).model
    sample = captured_requests.sample(
        plan.lake,
        plan.production.endpoint,
        plan.start,
        plan.until,
        version=commit_messages.number(plan.champion.approval),
        inputs=model.inputs,
        amount=model.document.amount,
        max_rows=plan.settings.max_rows,
    )
    if not sample.requests:
        raise Refused(
            f"no request that approval {plan.champion.approval:04d} answered on {plan.production.endpoint} was "
            f"captured from {clock.stamp(plan.start)} to {clock.stamp(plan.until)} ({sample.other_model:,} were "
            f"answered by another model, {sample.unusable:,} with an error or captured in part), so nothing can be "
            "compared"
        )
    before = store.comparison()
    if before is not None and _same_traffic(before, plan) and before["traffic"]["requests"] > sample.requests:
        raise Refused(
            f"{sample.requests:,} captured requests are left of the {before['traffic']['requests']:,} that {store.uri} "
            "compares: their capture has expired or was deleted. The comparison stays as it is"
        )
    return sample


def _same_traffic(document: dict[str, Any], plan: _Plan) -> bool:
    """Whether a comparison is of the same time, with the same model in production."""
    window, champion = document["window"], document["champion"]
    return (window["start"], window["end"], champion["artifact_sha256"]) == (
        clock.stamp(plan.start),
        clock.stamp(plan.end),
        plan.champion.artifact.sha256,
    )


def _document(
    plan: _Plan,
    sample: RequestSample,
    rows: ComparedRows,
    errors: dict[str, int],
    limits: config.LabelLimits,
) -> dict[str, Any]:
    compared, percentage = plan.until - plan.start, plan.production.capture.sampling_percentage
    rows_a_day = sample.rows / (compared / _DAY) / (percentage / 100)
    return {
        "approval": plan.record.approval,
        "champion": {"approval": plan.champion.approval, "artifact_sha256": plan.champion.artifact.sha256},
        "at": clock.stamp(plan.now),
        "window": {
            "start": clock.stamp(plan.start),
            "end": clock.stamp(plan.end),
            "hours": plan.settings.hours,
            "compared_hours": compared / _HOUR,
            "over": plan.now >= plan.end,
        },
        "traffic": {
            "requests": sample.requests,
            "rows": sample.rows,
            "rows_a_day": rows_a_day,
            "capture_percentage": percentage,
            "sampled_requests": len(sample.chosen),
            "sampled_rows": sum(len(request.rows) for request in sample.chosen),
            "other_model": sample.other_model,
            "unusable": sample.unusable,
            "unreadable": sample.unreadable,
        },
        "errors": errors,
        **shadow_comparison.figures(rows, rows_a_day=rows_a_day),
        "labels": _labels(plan, rows, limits),
    }


def _failing_since(plan: _Plan, errors: dict[str, int], before: dict[str, Any] | None) -> str | None:
    """When server errors were first found, by the comparison `before` or by this run; None if there are none now."""
    if not shadow_verdict.server_errors(errors):
        return None
    if before is not None and _same_traffic(before, plan) and shadow_verdict.server_errors(before["errors"]):
        return str(before.get("failing_since") or before["at"])
    return clock.stamp(plan.now)


def _labels(plan: _Plan, rows: ComparedRows, limits: config.LabelLimits) -> dict[str, Any]:
    with_id, labelled = sum(each is not None for each in rows.event_ids), int((rows.labels >= 0).sum())
    reason = "no transaction has an id"
    if with_id:
        reason = maturity.immaturity(
            with_id,
            labelled,
            age_days=(plan.now - plan.until) / _DAY,
            min_coverage=limits.min_coverage,
            min_age_days=limits.min_age_days,
        )
    return {
        "rows_with_id": with_id,
        "labelled": labelled,
        "mature": not reason,
        "immature_because": reason,
        **shadow_comparison.label_figures(rows),
    }
