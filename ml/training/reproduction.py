"""Trains an approval again: from the commit and the data that its record names, with a pipeline that registers nothing.

The inputs come from Git and the lake, never from the first execution, which may have been edited or deleted: code and
settings of the record's commit, the data by its digest, the champion by the record of its approval. No step is taken
from a cache.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml import clock, config, console
from ml.aws import executions, platform_stack, s3_objects, training_sets
from ml.aws.executions import Execution
from ml.aws.pipeline import definition
from ml.aws.platform_stack import Platform
from ml.aws.training_sets import TrainingSet
from ml.errors import ConfigError, Refused, TrainingFailed
from ml.gitops import approvals
from ml.gitops.repository import Repository
from ml.training import job_failures, pipeline_run, run_inputs
from ml.training.run_inputs import Champion, Inputs

_CODE = ("model-config", "ml")


@dataclass(frozen=True, kw_only=True)
class TrainedAgain:
    """The archive that the new execution wrote."""

    execution_arn: str
    uri: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest of the archive."""
        return hashlib.sha256(self.content).hexdigest()


def run(
    repository: Repository,
    revision: str,
    record: config.ApprovalRecord,
    *,
    progress: Callable[[Execution], None] | None = None,
) -> TrainedAgain:
    """Trains the model of `record` again and waits; a run of the same approval that was interrupted is continued.

    Args:
        revision: where the record of its champion is read.

    Raises:
        Refused: the commit or the champion of the record is gone, or the settings of the commit are not the recorded
            ones.
        DataError: the list of the training data is gone or was replaced.
        TrainingFailed: a job failed.
        CloudError: AWS refuses or cannot be reached.
    """
    where, pipeline = platform_stack.read(), platform_stack.reproduction_pipeline_name()
    if repository.resolve(record.commit) is None:
        raise Refused(f"commit {record.commit} trained approval {record.approval:04d}, and this repository lacks it")
    with tempfile.TemporaryDirectory(prefix="fraudops-reproduce-") as folder:
        root = Path(folder)
        repository.export(record.commit, root, *_CODE)
        inputs = _inputs(repository, revision, record, root, where)
        label = f"reproduce-{record.approval:04d}-{record.artifact.sha256[:32]}"
        arn = next((arn for arn, name in executions.running(pipeline).items() if name == label), None)
        if arn is None:
            with console.stage(f"uploading code and settings of {record.commit[:12]}"):
                parameters = run_inputs.upload(root, inputs)
                text = definition.reproduction(where, inputs.training)
                definition.upsert(where, text, pipeline=pipeline)
            token = hashlib.sha256(f"{label} {clock.now().isoformat()}".encode()).hexdigest()
            arn = executions.start(parameters, token=token, label=label, pipeline=pipeline)
    command = f"fraudops reproduce {record.approval} --at {revision}"
    console.note(f"execution {arn}; if this is interrupted, `{command}` waits for it")
    limit = inputs.training.compute.max_runtime_minutes
    execution = pipeline_run.follow(arn, max_runtime_minutes=limit, progress=progress, resume=command)
    return _archive(record, execution)


def _inputs(
    repository: Repository, revision: str, record: config.ApprovalRecord, root: Path, where: Platform
) -> Inputs:
    settings = config.load_settings(root)
    if settings.sha256 != record.config_sha256:
        raise Refused(
            f"the settings of commit {record.commit[:12]} have sha256 {settings.sha256}, and "
            f"{config.approval_path(record.approval)} says {record.config_sha256}; nothing was started"
        )
    training_sets.listing(where.bucket, record.data.sha256)  # refuses another list than the recorded one
    data = TrainingSet(
        manifest_uri=training_sets.manifest_uri(where.bucket, record.data.sha256),
        sha256=record.data.sha256,
        rows=record.data.rows,
        frauds=record.data.frauds,
        start=record.data.window.start,
        end=record.data.window.end,
        imports=(),
    )
    return Inputs(
        where=where,
        kind=record.kind,
        commit=record.commit,
        training=config.load_model(root),
        settings=settings,
        requests=record.requests,
        window=record.data.window,
        data=data,
        champion=_champion(repository, revision, record),
    )


def _champion(repository: Repository, revision: str, record: config.ApprovalRecord) -> Champion | None:
    named = record.champion
    if named is None:
        return None
    try:
        found = approvals.read_record(repository, revision, named.approval)
    except ConfigError as error:
        raise Refused(f"the champion of approval {record.approval:04d} cannot be read: {error}") from error
    if found is None or found.artifact.sha256 != named.artifact_sha256:
        raise Refused(
            f"{config.approval_path(record.approval)} was compared with sha256 {named.artifact_sha256}, which "
            f"{config.approval_path(named.approval)} at {revision} does not have; nothing was started"
        )
    folder = found.artifact.uri.rpartition("/")[0]
    return Champion(approval=named.approval, uri=f"{folder}/", sha256=named.artifact_sha256)


def _archive(record: config.ApprovalRecord, execution: Execution) -> TrainedAgain:
    evaluate = execution.step("Evaluate")
    if execution.status != "Succeeded" or evaluate is None:
        failed = next((step for step in execution.steps if step.status == "Failed"), None)
        reason = " ".join(((failed and failed.reason) or execution.reason or "no reason given").split())
        log = job_failures.log(failed, reason) if failed else ""
        raise TrainingFailed(
            f"training approval {record.approval:04d} again failed in step {failed.name if failed else 'unknown'}: "
            f"{job_failures.clipped(reason)}{log}. (execution {execution.arn})"
        )
    uri = f"{executions.output(evaluate.job_arn, 'artifact')}/model.tar.gz"
    return TrainedAgain(execution_arn=execution.arn, uri=uri, content=s3_objects.read(uri))
