"""`fraudops train`: trains the checked-out commit in one pipeline execution and returns the registered package.

An execution is known by what it is about: requests, commit, settings and data. Whoever runs this again, after a kill
or on another machine, gets that same execution: waits for it while it runs, takes its package if it has registered
one, hears the gate's verdict again if it failed, and lets it go on from the failed step (RetryPipelineExecution) if it
failed for another reason or was stopped. A workflow's re-run gets it even where data have landed in between, by what
its earlier attempt left beside the commit. `resume` only ever waits: it starts and retries nothing.

One training at a time: an execution that still runs for an earlier commit is the orphan of a run that was cancelled. It
is stopped, and its requests are answered here, since every run answers all that are open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ml import config, console
from ml.aws import executions, registry, source_upload
from ml.aws.executions import Execution, Step
from ml.aws.pipeline import definition as pipeline
from ml.errors import CloudError, FraudopsError, GateFailed, Refused, TrainingFailed
from ml.gitops.repository import Repository
from ml.training import job_failures, run_inputs, summary
from ml.training.gate_result import Outcome
from ml.training.progress import Steps
from ml.training.result import DryRun, TrainingResult
from ml.training.run_inputs import Inputs
from ml.workflow import commit_status, toolkit

_GATE_FAILED = "GateFailed"
_STOPPING_SECONDS = 900  # a job is given two minutes to end, and its instances some more
_SHORTAGE_SECONDS = 2 * 3600  # the pipeline's own retries wait this long for instances


def train(
    root: Path,
    *,
    requests: Sequence[str] | None = None,
    window: config.Window | None = None,
    resume: str | None = None,
    reason: str = "",
    outcome: Path | None = None,
    on_started: Callable[[str], None] | None = None,
    progress: Callable[[Execution], None] | None = None,
) -> TrainingResult:
    """Runs the training pipeline for the commit checked out at `root`, and waits for the package it registers.

    Args:
        root: the repository; what explains a model there must be committed.
        requests: ids of the retrain requests that this run answers; all that are open if None.
        window: the stretch of data; that of the requests if None, and everything if there are none.
        resume: the ARN of an execution to wait for instead of starting one.
        reason: why somebody wants this run; shown to whoever approves its model.
        outcome: a file to write what came of it to, once the gate has decided, for `propose` or `record-failure`.
        on_started: called with the execution's ARN as soon as there is one, before any waiting.
        progress: called with each state of the execution; by default its steps are shown on standard error.

    Raises:
        Refused: uncommitted changes, the root account, a champion that is not what its approval says, or a training
            of a commit that is not part of this one's history.
        GateFailed: the model is not good enough; carries the evaluation.
        TrainingFailed: a step failed, or the execution was stopped or takes longer than it may.
    """
    training = config.load_model(root)
    # A resumed execution says itself what it is about; one that is not there is told before all else.
    arn, commit = _resumed(resume) if resume else _start(root, requests, window)
    console.note(f"execution {arn}; if this is interrupted: fraudops train --resume {arn}")
    toolkit.output(execution_arn=arn)
    if on_started:
        on_started(arn)
    told = commit_status.TrainingStatus(commit, arn)
    told.started()
    limit = 3 * training.compute.max_runtime_minutes * 60 + _SHORTAGE_SECONDS
    try:
        result = _outcome(_wait(arn, limit, progress))
    except GateFailed as error:
        _report_gate_failure(error, told, outcome, reason)
        raise
    except FraudopsError as error:
        told.failed(str(error))
        toolkit.summary(summary.training_failed(arn, str(error)))
        raise
    verdict = result.evaluation["verdict"]["reason"]
    told.passed(result.version, verdict)
    if outcome is not None:
        Outcome(
            verdict="passed",
            reason=verdict,
            execution_arn=result.execution_arn,
            package_arn=result.package_arn,
            version=result.version,
            commit=result.commit,
            requests=result.requests,
            asked=reason,
            evaluation=result.evaluation,
            evaluation_uri=result.evaluation_uri,
        ).write(outcome)
    toolkit.output(verdict="passed", package_arn=result.package_arn)
    return result


def dry_run(
    root: Path, *, requests: Sequence[str] | None = None, window: config.Window | None = None, reason: str = ""
) -> DryRun:
    """What `train` would run, as it would resolve it now; starts, uploads and stops nothing.

    (The list of the data's files is written under its own digest, where the run itself would find it.)

    Raises:
        Refused, ConfigError, DataError, CloudError: for whatever `train` would fail for before it starts anything.
    """
    found = run_inputs.resolve(root, requests, window)
    with console.stage("making the pipeline's definition"):
        definition = pipeline.definition(found.where, found.training)
    result = DryRun(
        commit=found.commit,
        requests=found.requests,
        window=found.window,
        imports=found.data.imports,
        rows=found.data.rows,
        frauds=found.data.frauds,
        data_sha256=found.data.sha256,
        config_sha256=found.settings.sha256,
        code_sha256=source_upload.digest(source_upload.tree(root)),
        definition_sha256=hashlib.sha256(definition.encode()).hexdigest(),
        champion=found.champion.approval if found.champion else None,
        champion_sha256=found.champion.sha256 if found.champion else None,
        instance_type=found.training.compute.instance_type,
        execution_arn=executions.find(found.label),
    )
    toolkit.output(verdict="dry-run")
    toolkit.summary(summary.dry_run(result, reason))
    return result


def is_execution(arn: str) -> bool:
    """Whether `arn` is written as the ARN of a pipeline execution is; asks nobody whether there is one."""
    return executions.is_arn(arn)


def _start(root: Path, requests: Sequence[str] | None, window: config.Window | None) -> tuple[str, str]:
    """The execution for what is checked out, started or found; and the commit."""
    found = run_inputs.resolve(root, requests, window)
    before = _begun(found)
    parameters = run_inputs.put(root, found) if before is None else {}
    _make_way(Repository(root), found, keep=before)
    return before or _begin(parameters, found), found.commit


def _begun(found: Inputs) -> str | None:
    """What an earlier attempt of this run has begun, if something comes of it or has come."""
    arn = commit_status.previous_execution(found.commit)
    # Whoever may push may also write a status: what it names must be a training of this commit.
    if arn is None or not executions.is_arn(arn) or executions.parameters(arn).get("Commit") != found.commit:
        return None
    if _ended_with_nothing(executions.describe(arn)):
        return None
    console.note(f"an earlier attempt of this run has begun {arn}, whatever data have landed since")
    return arn


def _ended_with_nothing(there: Execution) -> bool:
    """Whether it has settled with neither a package nor the gate's word: it was stopped, or a step failed."""
    return there.settled and not there.package_arn and there.step(_GATE_FAILED) is None


def _resumed(arn: str) -> tuple[str, str]:
    return arn, executions.parameters(arn).get("Commit", "")


def _make_way(repository: Repository, found: Inputs, *, keep: str | None) -> None:
    """Stops what still runs for an earlier commit or for other inputs of this one; `keep` is this run's own."""
    for arn, label in executions.running().items():
        if arn == keep or (keep is None and label == found.label):
            continue
        commit = executions.parameters(arn).get("Commit", "")
        known = bool(commit) and repository.resolve(commit) is not None
        if not known or not repository.is_ancestor(commit, found.commit):
            raise Refused(
                f"execution {arn} is running for commit {commit or 'unknown'}, which is not part of {found.commit[:12]}"
                f"'s history, and one model is trained at a time; wait for it (`fraudops train --resume {arn}`) or "
                "stop it in the console, then run this again"
            )
        with console.stage(f"stopping {arn}, left behind by a run for {commit[:12]} that is over"):
            _stop(arn)
        commit_status.TrainingStatus(commit, arn).failed(
            f"Stopped: the training of {found.commit[:12]} takes its place. {arn}"
        )


def _stop(arn: str) -> None:
    try:
        executions.stop(arn, timeout_seconds=_STOPPING_SECONDS)
    except TimeoutError as error:
        raise TrainingFailed(f"{error}, although it was stopped; look at it in the console, then run again") from error


def _begin(parameters: Mapping[str, str], found: Inputs) -> str:
    arn = executions.find(found.label)
    if arn is None:
        return executions.start(parameters, token=found.token, label=found.label)
    there = executions.describe(arn)
    if _ended_with_nothing(there):
        console.note(f"an earlier run for the same inputs {there.status.lower()}; it goes on from the step that failed")
        token = hashlib.sha256(f"{found.token} {there.modified.isoformat()}".encode()).hexdigest()
        executions.retry(arn, token=token)
    else:
        console.note("an execution for the same inputs is there already")
    return arn


def _wait(arn: str, limit: int, progress: Callable[[Execution], None] | None) -> Execution:
    try:
        if progress is not None:
            return executions.follow(arn, progress, timeout_seconds=limit, troubled=console.note)
        with Steps() as steps:
            return executions.follow(arn, steps, timeout_seconds=limit, troubled=console.note)
    except TimeoutError as error:
        raise TrainingFailed(
            f"{error}; it goes on, and costs: stop it in the console, or wait on with `fraudops train --resume {arn}`"
        ) from error
    except CloudError as error:
        raise CloudError(
            f"{error}; if the execution goes on, wait for it with `fraudops train --resume {arn}`"
        ) from error


def _outcome(execution: Execution) -> TrainingResult:
    if execution.package_arn:
        package = registry.package(execution.package_arn)
        return TrainingResult(
            execution_arn=execution.arn,
            package_arn=package.arn,
            version=package.version,
            commit=package.metadata.get("commit", ""),
            requests=tuple(package.metadata.get("requests", "").split()),
            evaluation=registry.evaluation(package),
            evaluation_uri=package.evaluation_uri,
            seconds={step.name: step.seconds or 0.0 for step in execution.steps},
        )
    failed_gate = execution.step(_GATE_FAILED)
    if failed_gate is not None:
        raise _gate_failure(execution, failed_gate)
    raise _failed(execution)


def _gate_failure(execution: Execution, gate: Step) -> GateFailed:
    evaluate = execution.step("Evaluate")
    uri = f"{executions.output(evaluate.job_arn, 'evaluation')}/evaluation.json" if evaluate else ""
    evaluation = registry.read_json(uri) if uri else {}
    reason = evaluation.get("verdict", {}).get("reason") or gate.message or gate.reason
    return GateFailed(
        f"{reason} The evidence: {uri}",
        evaluation=evaluation,
        evaluation_uri=uri,
        execution_arn=execution.arn,
    )


def _report_gate_failure(error: GateFailed, told: commit_status.TrainingStatus, file: Path | None, asked: str) -> None:
    """Tells of a gate failure, and writes it down for `record-failure`, whichever way the execution was come by."""
    verdict = str(error.evaluation.get("verdict", {}).get("reason") or error)
    told.gate_failed(verdict)
    about = executions.parameters(error.execution_arn)
    failed_gate = Outcome(
        verdict="failed",
        reason=verdict,
        execution_arn=error.execution_arn,
        package_arn=None,
        version=None,
        commit=about["Commit"],
        requests=tuple(about.get("Requests", "").split()),
        asked=asked,
        evaluation=error.evaluation,
        evaluation_uri=error.evaluation_uri,
    )
    if file is not None:
        failed_gate.write(file)
    toolkit.output(verdict="failed")


def _failed(execution: Execution) -> TrainingFailed:
    step = next((step for step in execution.steps if step.status == "Failed"), None)
    if step is None:
        why = execution.reason or "no reason given"
        ending = "was stopped" if execution.status == "Stopped" else f"ended {execution.status} without a package"
        return TrainingFailed(f"execution {execution.arn} {ending} ({why}); run `fraudops train` again to let it go on")
    reason = " ".join((step.reason or execution.reason or "no reason given").split())
    return TrainingFailed(
        f"step {step.name} failed: {job_failures.clipped(reason)}{job_failures.log(step, reason)}. "
        f"If that will pass, run `fraudops train` again: it goes on from {step.name}. "
        f"If not, commit the correction first. (execution {execution.arn})"
    )
