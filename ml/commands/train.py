"""`fraudops train`: from the commit that is checked out to a registered model package, once.

An execution is known by what it is about: requests, commit, settings and data. Whoever runs this again, after a kill
or on another machine, gets that same execution: waits for it while it runs, takes its package if it has registered
one, hears the gate's verdict again if it missed, and lets it go on from the failed step (RetryPipelineExecution) if it
failed for another reason or was stopped. `resume` only ever waits: it starts and retries nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ml import config, console
from ml.aws import code, executions, pipeline, platform, registry
from ml.aws.executions import Execution, Step
from ml.aws.lake import Lake, TrainingSet
from ml.commands import requests as retraining
from ml.commands.progress import Steps
from ml.errors import CloudError, GateMissed, Refused, TrainingFailed
from ml.gitops import approvals, serving
from ml.gitops.repository import Repository

_EXPLAINS_A_MODEL = ("model-config/training", config.REQUESTS.as_posix(), config.APPROVALS.as_posix(), "ml")
_GATE_MISSED = "GateMissed"
_LOG_LINES = 20
_SHORTAGE_SECONDS = 2 * 3600  # the pipeline's own retries wait this long for instances


@dataclass(frozen=True, kw_only=True)
class TrainingOutcome:
    """A model package that the pipeline registered, and the evidence for it."""

    execution_arn: str
    package_arn: str
    version: int
    commit: str
    requests: tuple[str, ...]
    evaluation: Mapping[str, Any]
    """The whole evaluation.json."""
    evaluation_uri: str
    seconds: Mapping[str, float]
    """How long each step took; a step taken from the cache takes none."""


@dataclass(frozen=True, kw_only=True)
class _Champion:
    uri: str
    sha256: str


def train(
    root: Path,
    *,
    requests: Sequence[str] | None = None,
    window: config.Window | None = None,
    resume: str | None = None,
    on_started: Callable[[str], None] | None = None,
    progress: Callable[[Execution], None] | None = None,
) -> TrainingOutcome:
    """Runs the training pipeline for the commit checked out at `root`, and waits for the package it registers.

    Args:
        root: the repository; what explains a model there must be committed.
        requests: ids of the retrain requests that this run answers; all that are open if None.
        window: the stretch of data; that of the requests if None, and everything if there are none.
        resume: the ARN of an execution to wait for instead of starting one.
        on_started: called with the execution's ARN as soon as there is one, before any waiting.
        progress: called with each state of the execution; by default its steps are shown on standard error.

    Raises:
        Refused: uncommitted changes, the root account, or a champion that is not what its approval says.
        GateMissed: the model is not good enough; carries the evaluation.
        TrainingFailed: a step failed, or the execution was stopped or takes longer than it may.
    """
    training = config.load_model(root)
    arn = resume or _start(root, training, requests, window)
    console.note(f"execution {arn}; if this is interrupted: fraudops train --resume {arn}")
    if on_started:
        on_started(arn)
    limit = 3 * training.compute.max_runtime_minutes * 60 + _SHORTAGE_SECONDS
    return _outcome(_wait(arn, limit, progress))


def _start(root: Path, training: config.ModelFile, requests: Sequence[str] | None, window: config.Window | None) -> str:
    repository = Repository(root)
    _refuse_uncommitted(repository)
    commit = repository.head()
    answered = retraining.choose(root, requests)
    window = window or retraining.window(answered)
    settings = config.load_settings(root)
    platform.refuse_root()
    where = platform.read()
    with console.stage("resolving data and champion"):
        data = Lake(where.bucket).training_set(window.start, window.end)
        champion = _champion(repository, commit, where.bucket)
    console.note(
        f"{data.rows:,} rows, {data.frauds:,} frauds in {len(data.imports)} import(s); data {data.sha256[:12]}"
    )
    with console.stage("putting code, settings and pipeline"):
        parameters = {
            "DataManifestUri": data.manifest_uri,
            "SettingsUri": code.upload_settings(settings, where.bucket),
            "CodeUri": code.upload_code(code.tree(root), where.bucket),
            "ChampionUri": champion.uri,
            "ChampionSha256": champion.sha256,
            "Commit": commit,
            "ConfigSha256": settings.sha256,
            "DataSha256": data.sha256,
            "Requests": " ".join(answered),
            "WindowStart": _moment(window.start),
            "WindowEnd": _moment(window.end),
            "InstanceType": training.compute.instance_type,
        }
        pipeline.upsert(where, pipeline.definition(where, training))
    return _begin(parameters, _token(answered, commit, settings.sha256, data))


def _refuse_uncommitted(repository: Repository) -> None:
    dirty = repository.dirty(*_EXPLAINS_A_MODEL)
    if dirty:
        raise Refused(
            f"{', '.join(dirty)}: not as committed, and a model must be explained by a commit; "
            "commit or put away, then run this again"
        )


def _champion(repository: Repository, commit: str, bucket: str) -> _Champion:
    """The model that Git says serves at `commit`, if the registry still holds that very model."""
    number = serving.at(repository, commit).approval
    if number is None:
        return _Champion(uri=code.upload_no_champion(bucket), sha256="")
    record = approvals.recorded(repository, commit, number)
    if record is None:
        raise Refused(f"{config.SERVING} points at approval {number:04d}, which has no record; nothing was started")
    package = registry.package(record.model_package_arn)
    folder, _, name = package.model_data_url.rpartition("/")
    found = registry.digest(package.model_data_url)
    if found != record.artifact.sha256 or name != "model.tar.gz":
        raise Refused(
            f"the champion is not what was approved: {package.model_data_url} has sha256 {found}, "
            f"{config.approval_path(number)} says {record.artifact.sha256}; nothing was started. "
            "Find out who replaced it before anything is trained against it"
        )
    return _Champion(uri=f"{folder}/", sha256=found)


def _token(requests: Mapping[str, Any], commit: str, config_sha256: str, data: TrainingSet) -> str:
    """What an execution is about, as SageMaker's idempotency token; nothing of who asks, or how often."""
    about = json.dumps([sorted(requests), commit, config_sha256, data.sha256], separators=(",", ":"))
    return hashlib.sha256(about.encode()).hexdigest()


def _begin(parameters: Mapping[str, str], token: str) -> str:
    # SageMaker does not say how long it remembers a token, so an execution is also looked for by its name.
    label = f"train-{parameters['Commit'][:12]}-{token[:32]}"
    arn = executions.find(label)
    if arn is None:
        return executions.start(parameters, token=token, label=label)
    found = executions.describe(arn)
    if found.settled and not found.package_arn and found.step(_GATE_MISSED) is None:
        console.note(f"an earlier run for the same inputs {found.status.lower()}; it goes on from the step that failed")
        executions.retry(arn, token=hashlib.sha256(f"{token} {found.modified.isoformat()}".encode()).hexdigest())
    else:
        console.note("an execution for the same inputs is there already")
    return arn


def _wait(arn: str, limit: int, progress: Callable[[Execution], None] | None) -> Execution:
    try:
        if progress is not None:
            return executions.follow(arn, progress, timeout_seconds=limit)
        with Steps() as steps:
            return executions.follow(arn, steps, timeout_seconds=limit)
    except TimeoutError as error:
        raise TrainingFailed(
            f"{error}; it goes on, and costs: stop it in the console, or wait on with `fraudops train --resume {arn}`"
        ) from error
    except CloudError as error:
        raise CloudError(
            f"{error}; if the execution goes on, wait for it with `fraudops train --resume {arn}`"
        ) from error


def _outcome(execution: Execution) -> TrainingOutcome:
    if execution.package_arn:
        package = registry.package(execution.package_arn)
        return TrainingOutcome(
            execution_arn=execution.arn,
            package_arn=package.arn,
            version=package.version,
            commit=package.metadata.get("commit", ""),
            requests=tuple(package.metadata.get("requests", "").split()),
            evaluation=registry.evaluation(package),
            evaluation_uri=package.evaluation_uri,
            seconds={step.name: step.seconds or 0.0 for step in execution.steps},
        )
    missed = execution.step(_GATE_MISSED)
    if missed is not None:
        raise _missed(execution, missed)
    raise _failed(execution)


def _missed(execution: Execution, gate: Step) -> GateMissed:
    evaluate = execution.step("Evaluate")
    uri = f"{executions.output(evaluate.job_arn, 'evaluation')}/evaluation.json" if evaluate else ""
    evaluation = registry.read_json(uri) if uri else {}
    reason = evaluation.get("verdict", {}).get("reason") or gate.message or gate.reason
    return GateMissed(
        f"{reason} The evidence: {uri}",
        evaluation=evaluation,
        evaluation_uri=uri,
        execution_arn=execution.arn,
    )


def _failed(execution: Execution) -> TrainingFailed:
    step = next((step for step in execution.steps if step.status == "Failed"), None)
    if step is None:
        why = execution.reason or "no reason given"
        ending = "was stopped" if execution.status == "Stopped" else f"ended {execution.status} without a package"
        return TrainingFailed(f"execution {execution.arn} {ending} ({why}); run `fraudops train` again to let it go on")
    log = executions.log_tail(step.job_arn, _LOG_LINES) if step.job_arn else []
    for line in log:
        console.note(f"  {step.name} │ {line}")
    last = f"; its log ends: {' / '.join(log[-3:])}" if log else ""
    return TrainingFailed(
        f"step {step.name} failed: {step.reason or execution.reason or 'no reason given'}{last}. "
        f"If that will pass, run `fraudops train` again: it goes on from {step.name}. "
        f"If not, commit the correction first. (execution {execution.arn})"
    )


def _moment(moment: datetime | None) -> str:
    return moment.isoformat().replace("+00:00", "Z") if moment else ""
