"""`fraudops explain`: the decision on one captured transaction: the answer, the model, the reasons, the evidence.

It finds the answer in the captured traffic, the model by the version that the answer states and by the deployment
records, and computes the score again from the archive that was approved. Reads only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from ml import clock, config
from ml.audit import approval_origin, recomputation, serving_periods
from ml.audit.approval_origin import Origin
from ml.audit.disagreement import Disagreement
from ml.audit.recomputation import Recomputed
from ml.aws import deployment_records, platform_stack, scored_rows
from ml.aws.capture import event_answers
from ml.aws.capture.event_answers import CapturedAnswer
from ml.aws.deployment_records import Deployment
from ml.aws.labels import event_labels
from ml.aws.labels.event_labels import EventLabel
from ml.aws.session import Absent
from ml.console import stage
from ml.errors import DataError, FraudopsError, Refused
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.model.scoring_responses import PayloadError
from ml.records import approval_verification, model_archive

SEARCHED_DAYS = 31
"""Of these latest days, those that are not in the index of scored rows, or whose index may still change because capture
files arrive late, are searched in the captured traffic itself."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision on a transaction. `decision` is 1 for an alert, 0 for none, -1 if none was captured.

    `recomputed` is None if the inputs were not captured. `disagreements` names each place that says something else.
    """

    event_id: str
    endpoint: str
    at: datetime
    inference_id: str | None
    row: int
    """The row's place in its request, from 0."""
    rows: int
    score: float
    decision: int
    captured: str
    """The URI of the captured file."""
    answers_of_the_day: int
    """More than 1 if the transaction was scored again; the last answer is explained."""
    record: config.ApprovalRecord
    """The approval of the model that answered."""
    threshold: float
    """That of the archive, and the policy by which it was chosen."""
    threshold_policy: str
    recomputed: Recomputed | None
    label: int | None
    """The label that counts now; None if none is known."""
    labels: tuple[EventLabel, ...]
    deployments: tuple[Deployment, ...]
    """The deployments whose model may have answered at that moment."""
    origin: Origin | None
    """How the approval reached main."""
    disagreements: tuple[str, ...]

    @property
    def error(self) -> FraudopsError | None:
        """The error with which the verb ends; None if everything agrees and the score was computed again."""
        found = Disagreement.of(self.disagreements)
        if found is None and self.recomputed is None:
            return DataError(
                f"the inputs of {self.event_id} were not captured, so its score cannot be computed again; the rest is "
                "as shown"
            )
        return found


def explain(root: Path, event_id: str, *, day: date | None = None, main: str = "main") -> Decision:
    """Explains the last captured answer for `event_id`.

    Args:
        event_id: the request's event_id, or `<InferenceId>#<row>` where it had none.
        day: the day (UTC) of the answer; None searches the latest days and the index of scored rows.

    Raises:
        DataError: no captured answer has that id.
        Refused: the archive of the model that answered is not the one that was approved, or nothing approved it.
        ArtifactError: the archive cannot be read.
        CloudError: AWS refuses or cannot be reached; this is no disagreement.
    """
    repository = Repository.find(root)
    endpoint, inputs = config.load_serving(root).endpoint, config.load_columns(root).inputs
    where = platform_stack.read()
    with stage(f"Looking for {event_id} in the captured traffic of {endpoint}"):
        answers = _find(where.bucket, endpoint, event_id, day, inputs)
    answer = answers[-1]
    record = _record(repository, main, answer)
    with stage(f"Reading the archive of approval {record.approval:04d}"):
        model = model_archive.read_approved(record).model
    disagreements, recomputed = list[str](), None
    if record.threshold != model.threshold.score:
        disagreements.append(
            f"{config.approval_path(record.approval)} says threshold {record.threshold!r}, and the archive has "
            f"{model.threshold.score!r}"
        )
    if answer.request is not None:
        try:
            recomputed = recomputation.compute(model, answer.request, answer.content_type, answer.row)
            disagreements += recomputed.differences(answer.score, answer.decision, model.threshold.score)
        except PayloadError as error:
            disagreements.append(f"the model of approval {record.approval:04d} refuses the captured request: {error}")
    with stage("Comparing the record with the registry and the deployments"):
        try:
            approval_verification.against_registry(record, where)
        except (Refused, Absent) as error:
            disagreements.append(str(error))
        history = deployment_records.history(where.bucket)
        served = serving_periods.at(history, endpoint, answer.at)
        disagreements += _unlike(served, record, answer)
    with stage("Reading its labels"):
        midnight = datetime.combine(answer.at.date(), time(), UTC)
        labels = event_labels.read(where.bucket, event_id, start=midnight, as_of=clock.now())
    landed, origin = approval_origin.landing_commit(repository, main, record.approval), None
    if landed is not None:
        origin = approval_origin.of([landed], base=main)[landed.sha]
        disagreements += approval_origin.differences(landed, origin)
    return Decision(
        event_id=event_id,
        endpoint=endpoint,
        at=answer.at,
        inference_id=answer.inference_id,
        row=answer.row,
        rows=answer.rows,
        score=answer.score,
        decision=answer.decision,
        captured=f"s3://{where.bucket}/{answer.key}",
        answers_of_the_day=len(answers),
        record=record,
        threshold=model.threshold.score,
        threshold_policy=model.threshold.policy,
        recomputed=recomputed,
        label=event_labels.decisive(labels),
        labels=tuple(labels),
        deployments=tuple(served),
        origin=origin,
        disagreements=tuple(disagreements),
    )


def _find(bucket: str, endpoint: str, event_id: str, day: date | None, inputs: tuple[str, ...]) -> list[CapturedAnswer]:
    """The answers on the latest day that has any; DataError if no day has one."""
    if day is not None:
        if answers := event_answers.find(bucket, endpoint, event_id, day, inputs=inputs):
            return answers
        raise DataError(f"{event_id}: no captured answer of {endpoint} on {day} (UTC) has this id; {_ID_HINT}")
    today, stored = clock.now().date(), scored_rows.stored_days(bucket, endpoint)
    latest = [today - place * _DAY for place in range(SEARCHED_DAYS)]
    # Late files may still change the index of a day that ended at most LATE_DAYS ago.
    settled = {each for each in stored if each < today - scored_rows.LATE_DAYS * _DAY}
    for each in sorted({*latest, *stored}, reverse=True):
        if each in settled and not scored_rows.has_event(bucket, stored[each], event_id):
            continue
        if answers := event_answers.find(bucket, endpoint, event_id, each, inputs=inputs):
            return answers
    index = f"{len(stored)} days, {min(stored)} to {max(stored)}" if stored else "no day"
    raise DataError(
        f"{event_id}: no captured answer of {endpoint} has this id in the index of scored rows ({index}) or on the "
        f"other days since {latest[-1]}; give --day for an older one. {_ID_HINT[0].upper()}{_ID_HINT[1:]}"
    )


_ID_HINT = (
    "a row that was sent without an event_id has the id <InferenceId>#<row>, with rows counted from 0, and a request "
    "that was not sampled was not captured"
)


def _record(repository: Repository, main: str, answer: CapturedAnswer) -> config.ApprovalRecord:
    """The approval of the model that the answer states."""
    record = approvals.read_record(repository, main, int(answer.version)) if answer.version.isdecimal() else None
    if record is None:
        raise Refused(
            f"the answer of {clock.stamp(answer.at)} states model version {answer.version or 'none'!r}, and {main} has "
            "no approval of that number: an unapproved model has answered, or this clone is not up to date"
        )
    return record


def _unlike(served: list[Deployment], record: config.ApprovalRecord, answer: CapturedAnswer) -> list[str]:
    """Where the deployment records say that another model served."""
    own = [item for item in served if item.approval == record.approval]
    if not own:
        others = ", ".join(f"{item.approval:04d}" for item in served) or "none"
        return [
            f"{deployment_records.HISTORY} says that approval {others} served at {clock.stamp(answer.at)}, and the "
            f"answer states {answer.version}"
        ]
    if own[-1].artifact_sha256 != record.artifact.sha256:
        return [
            f"{deployment_records.HISTORY} says that approval {record.approval:04d} was deployed with sha256 "
            f"{own[-1].artifact_sha256}, and {config.approval_path(record.approval)} approved {record.artifact.sha256}"
        ]
    return []
