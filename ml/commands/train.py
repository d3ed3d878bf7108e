"""`fraudops train`: trains the checked-out commit in one pipeline execution and returns the registered package.

`ml.training.pipeline_run` starts or resumes the execution. This verb publishes its state and writes the gate's result
for the workflow's next step. With `resume` it only waits: it starts and retries nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from ml import config, console
from ml.aws import executions, source_upload
from ml.aws.executions import Execution
from ml.aws.pipeline import definition as pipeline
from ml.errors import FraudopsError, GateFailed
from ml.training import gate_failure, pipeline_run, run_inputs, step_summary
from ml.training.gate_result import GateResult
from ml.training.result import DryRun, TrainingResult
from ml.workflow import runner_commands
from ml.workflow.commit_status import TrainingStatus


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
    """Runs the training pipeline for the commit checked out at `root`, and waits for the package that it registers.

    Args:
        root: the repository; everything that explains a model must be committed.
        requests: ids of the retrain requests that this run resolves; all open ones if None.
        window: the training window; that of the requests if None, and all data if there are none.
        resume: the ARN of an execution to wait for instead of starting one.
        reason: why a person started this run; shown to the reviewer of its model.
        outcome: a file for the gate's result, which `propose` or `record-failure` reads.
        on_started: called with the execution's ARN as soon as there is one, before any waiting.
        progress: called with each state of the execution; by default its steps are shown on standard error.

    Raises:
        Refused: uncommitted changes, the root account, a champion that differs from its approval record, or a running
            execution of a commit that is not part of this one's history.
        GateFailed: the model is not good enough; carries the evaluation.
        TrainingFailed: a step failed, or the execution was stopped or takes too long.
    """
    training = config.load_model(root)
    if resume is not None:
        # The inputs are the execution's parameters. An unknown execution fails here, before anything is published.
        arn, commit = resume, executions.parameters(resume).get("Commit", "")
    else:
        inputs = run_inputs.resolve(root, requests, window)
        arn, commit = pipeline_run.start_or_resume(root, inputs), inputs.commit
    console.note(f"execution {arn}; if this is interrupted: fraudops train --resume {arn}")
    runner_commands.output(execution_arn=arn)
    if on_started:
        on_started(arn)
    status = TrainingStatus(commit, arn)
    status.started()
    try:
        execution = pipeline_run.follow(
            arn, max_runtime_minutes=training.compute.max_runtime_minutes, progress=progress
        )
        result = pipeline_run.result(execution)
    except GateFailed as error:
        # The status first: the next call reads AWS, and if it fails, the commit must not stay pending.
        status.gate_failed(error.reason)
        _hand_over(GateResult.of_failure(error, executions.parameters(error.execution_arn), asked=reason), outcome)
        raise
    except FraudopsError as error:
        status.failed(str(error))
        runner_commands.summary(step_summary.training_failed(arn, str(error)))
        raise
    passed = GateResult.of_success(result, asked=reason)
    status.passed(result.version, passed.reason)
    _hand_over(passed, outcome)
    return result


def _hand_over(result: GateResult, file: Path | None) -> None:
    """Writes the gate's result for the workflow's next steps."""
    if file is not None:
        result.write(file)
    if result.package_arn is None:
        runner_commands.output(verdict=result.verdict, gate_failure=gate_failure.write(result))
    else:
        runner_commands.output(verdict=result.verdict, package_arn=result.package_arn)


def dry_run(
    root: Path, *, requests: Sequence[str] | None = None, window: config.Window | None = None, reason: str = ""
) -> DryRun:
    """Resolves the inputs that `train` would use now; starts, uploads and stops nothing.

    It writes the list of the data's files under its own digest, where the run itself would find it.

    Raises:
        Refused, ConfigError, DataError, CloudError: as `train` does before it starts an execution.
    """
    inputs = run_inputs.resolve(root, requests, window)
    with console.stage("building the pipeline's definition"):
        definition = pipeline.definition(inputs.where, inputs.training)
    result = DryRun(
        kind=inputs.kind,
        commit=inputs.commit,
        requests=inputs.requests,
        window=inputs.window,
        imports=inputs.data.imports,
        rows=inputs.data.rows,
        frauds=inputs.data.frauds,
        data_sha256=inputs.data.sha256,
        config_sha256=inputs.settings.sha256,
        code_sha256=source_upload.digest(source_upload.tree(root)),
        definition_sha256=hashlib.sha256(definition.encode()).hexdigest(),
        champion=inputs.champion.approval if inputs.champion else None,
        champion_sha256=inputs.champion.sha256 if inputs.champion else None,
        instance_type=inputs.training.compute.instance_type,
        execution_arn=executions.find(inputs.label),
    )
    runner_commands.output(verdict="dry-run")
    runner_commands.summary(step_summary.dry_run(result, reason))
    return result


def is_execution(arn: str) -> bool:
    """Whether `arn` has the form of a pipeline execution's ARN; does not check that the execution exists."""
    return executions.is_arn(arn)
