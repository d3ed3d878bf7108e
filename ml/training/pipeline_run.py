"""Starts, resumes and follows the one pipeline execution of a training run, and reads its result.

An execution is identified by its inputs: requests, commit, settings and data. A second run with the same inputs, after
a kill or on another machine, continues the same execution: it waits while that runs, returns its package, raises its
gate failure again, or retries it from the failed step (RetryPipelineExecution). A re-run of a workflow finds the
execution of its earlier attempt by the commit status, even where data were imported meanwhile.

One training runs at a time. An execution for an earlier commit that still runs belongs to a cancelled workflow run. It
is stopped; its requests stay open, and this run resolves them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from ml import console
from ml.aws import executions, registry
from ml.aws.executions import Execution, Step
from ml.errors import CloudError, GateFailed, Refused, TrainingFailed
from ml.gitops.repository import Repository
from ml.training import job_failures, run_inputs
from ml.training.progress import Steps
from ml.training.result import TrainingResult
from ml.training.run_inputs import Inputs
from ml.workflow import commit_status

_GATE_FAILED_STEP = "GateFailed"
_STOP_TIMEOUT_SECONDS = 900  # a job gets two minutes to end, and its instances some more
_CAPACITY_TIMEOUT_SECONDS = 2 * 3600  # the pipeline's own retries wait this long for instances


def start_or_resume(root: Path, inputs: Inputs) -> str:
    """The ARN of the execution for `inputs`: that of an earlier attempt, or a new one.

    Raises:
        Refused: an execution runs for a commit that is not part of this one's history.
        TrainingFailed: a stale execution cannot be stopped.
    """
    previous = _find_previous_attempt(inputs)
    parameters = run_inputs.put(root, inputs) if previous is None else {}
    _stop_stale_executions(Repository(root), inputs, keep=previous)
    return previous or _start_execution(parameters, inputs)


def follow(
    arn: str, *, max_runtime_minutes: int, progress: Callable[[Execution], None] | None, resume: str | None = None
) -> Execution:
    """Waits until the execution has settled; shows its steps on standard error unless `progress` takes them.

    Args:
        resume: the command that waits again, for messages; that of a training if None.

    Raises:
        TrainingFailed: it takes longer than three jobs and a shortage of instances may.
        CloudError: AWS cannot be reached; the execution may still run.
    """
    limit = 3 * max_runtime_minutes * 60 + _CAPACITY_TIMEOUT_SECONDS
    resume = f"`{resume or f'fraudops train --resume {arn}'}`"
    try:
        if progress is not None:
            return executions.follow(arn, progress, timeout_seconds=limit, troubled=console.note)
        with Steps() as steps:
            return executions.follow(arn, steps, timeout_seconds=limit, troubled=console.note)
    except TimeoutError as error:
        raise TrainingFailed(
            f"{error}; it still runs and incurs costs: stop it in the console, or wait for it with {resume}"
        ) from error
    except CloudError as error:
        raise CloudError(f"{error}; if the execution still runs, wait for it with {resume}") from error


def result(execution: Execution) -> TrainingResult:
    """The package that a settled execution registered.

    Raises:
        GateFailed: the gate failed; carries the evaluation.
        TrainingFailed: a step failed, or the execution was stopped.
    """
    if execution.package_arn:
        package = registry.package(execution.package_arn)
        return TrainingResult(
            execution_arn=execution.arn,
            package_arn=package.arn,
            version=package.version,
            kind=package.kind,
            commit=package.metadata.get("commit", ""),
            requests=tuple(package.metadata.get("requests", "").split()),
            evaluation=registry.evaluation(package),
            evaluation_uri=package.evaluation_uri,
            seconds={step.name: step.seconds or 0.0 for step in execution.steps},
        )
    failed_gate = execution.step(_GATE_FAILED_STEP)
    if failed_gate is not None:
        raise _gate_failure(execution, failed_gate)
    raise _step_failure(execution)


def _find_previous_attempt(inputs: Inputs) -> str | None:
    """The execution that an earlier attempt of this workflow run started, unless it ended without a result."""
    arn = commit_status.previous_execution(inputs.commit)
    # Anyone who may push may also write a status: so the execution that it names must be a training of this commit.
    if arn is None or not executions.is_arn(arn) or executions.parameters(arn).get("Commit") != inputs.commit:
        return None
    if _ended_without_result(executions.describe(arn)):
        return None
    console.note(f"resuming {arn}, which an earlier attempt of this run started; data imported since are not used")
    return arn


def _ended_without_result(execution: Execution) -> bool:
    """Whether it settled with neither a package nor a gate failure: it was stopped, or a step failed."""
    return execution.settled and not execution.package_arn and execution.step(_GATE_FAILED_STEP) is None


def _stop_stale_executions(repository: Repository, inputs: Inputs, *, keep: str | None) -> None:
    """Stops executions for an earlier commit, or for other inputs of this one; `keep` is this run's own."""
    for arn, label in executions.running().items():
        if arn == keep or (keep is None and label == inputs.label):
            continue
        commit = executions.parameters(arn).get("Commit", "")
        known = bool(commit) and repository.resolve(commit) is not None
        if not known or not repository.is_ancestor(commit, inputs.commit):
            raise Refused(
                f"execution {arn} is running for commit {commit or 'unknown'}, which is not part of "
                f"{inputs.commit[:12]}'s history, and one model is trained at a time; wait for it "
                f"(`fraudops train --resume {arn}`) or stop it in the console, then run this again"
            )
        with console.stage(f"stopping {arn}, started by a run for {commit[:12]} that has ended"):
            _stop(arn)
        commit_status.TrainingStatus(commit, arn).failed(
            f"Stopped: the training of {inputs.commit[:12]} replaces it. {arn}"
        )


def _stop(arn: str) -> None:
    try:
        executions.stop(arn, timeout_seconds=_STOP_TIMEOUT_SECONDS)
    except TimeoutError as error:
        raise TrainingFailed(f"{error}, although it was stopped; see it in the console, then run again") from error


def _start_execution(parameters: Mapping[str, str], inputs: Inputs) -> str:
    arn = executions.find(inputs.label)
    if arn is None:
        return executions.start(parameters, token=inputs.token, label=inputs.label)
    execution = executions.describe(arn)
    if _ended_without_result(execution):
        console.note(
            f"an earlier run for the same inputs {execution.status.lower()}; it continues from the failed step"
        )
        token = hashlib.sha256(f"{inputs.token} {execution.modified.isoformat()}".encode()).hexdigest()
        executions.retry(arn, token=token)
    else:
        console.note("an execution for the same inputs exists already")
    return arn


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


def _step_failure(execution: Execution) -> TrainingFailed:
    step = next((step for step in execution.steps if step.status == "Failed"), None)
    if step is None:
        why = execution.reason or "no reason given"
        ending = "was stopped" if execution.status == "Stopped" else f"ended {execution.status} without a package"
        return TrainingFailed(f"execution {execution.arn} {ending} ({why}); run `fraudops train` again to continue it")
    reason = " ".join((step.reason or execution.reason or "no reason given").split())
    return TrainingFailed(
        f"step {step.name} failed: {job_failures.clipped(reason)}{job_failures.log(step, reason)}. "
        f"If the cause is transient, run `fraudops train` again: it continues from {step.name}. "
        f"If not, commit the correction first. (execution {execution.arn})"
    )
