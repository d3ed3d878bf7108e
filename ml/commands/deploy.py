"""`fraudops deploy`: deploys the model that the serving pointer on main names, and waits for the result.

It verifies the package and the signed statement of how it was trained, writes deploy/desired.json and approves exactly
one package. The deploy Lambda updates the endpoint. Then it waits for the Lambda and the endpoint and runs the smoke
test. It records the result below deploy/history/ and as a GitHub deployment. It is idempotent: a second run applies
what main names then. For staging it does the same with staging's pointer, stack and copy of the package.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ml import clock, config
from ml.aws import deployment_records, endpoint, platform_stack
from ml.aws.capture.model_answers import ModelAnswers
from ml.aws.capture.text_inputs import TextInputs
from ml.console import command, note, stage
from ml.errors import DeploymentFailed, FraudopsError, GitError, Refused
from ml.gitops import approvals
from ml.gitops import serving_pointer as serving
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.records import approval_gate, approval_verification, bot_pull_requests, model_archive, provenance, stage_package
from ml.release import endpoint_scaling, rollout, step_summary
from ml.release import smoke_test as smoke
from ml.release.canary_watch import CanaryWatch
from ml.release.result import DeploymentResult
from ml.workflow import commit_status, runner_commands

if TYPE_CHECKING:
    from ml.model.artifact import Artifact


@dataclass(frozen=True, kw_only=True)
class _Plan:
    commit: str
    serving: config.ServingFile
    serving_sha256: str
    record: config.ApprovalRecord
    file: Path
    """The serving file: production's or staging's."""

    @property
    def staging(self) -> bool:
        """Whether staging is deployed."""
        return self.file == config.STAGING


def deploy(root: Path, *, main: str = "main", reason: str = "", staging: bool = False) -> DeploymentResult:
    """Deploys the approval that the serving pointer of the checked-out commit of `main` names.

    Args:
        reason: why it is deployed again; shown on GitHub.
        staging: deploys staging in place of production.

    Raises:
        Refused: the pointer, its record, the registry and S3 do not agree, or the caller is root; nothing was changed.
        GitError: `main` is not checked out, or model-config/ has uncommitted changes.
        DeploymentFailed: the model does not serve, or not as approved; says what serves instead.
        CloudError: AWS cannot be reached; run it again.
    """
    repository = Repository.find(root)
    plan = _plan(repository, main, config.STAGING if staging else config.SERVING)
    if plan is None:
        nothing = DeploymentResult(state="nothing to deploy", commit=repository.head())
        runner_commands.summary(step_summary.deployed(nothing))
        return nothing
    number = plan.record.approval
    status = commit_status.DeploymentStatus(plan.commit, endpoint=plan.serving.endpoint, approval=number)
    status.started(reason or f"Serving approval {number:04d}")
    try:
        result = _deploy(repository, plan)
    except FraudopsError as error:
        status.failed(str(error))
        runner_commands.summary(step_summary.not_deployed(number, plan.commit, str(error)))
        raise
    if result.canary_warning:
        command(runner_commands.annotate("warning", result.canary_warning))
    status.succeeded(f"Approval {number:04d} serves ({result.state}); known transactions were scored as it scores them")
    closed = _close_stale(repository, plan, main)
    runner_commands.summary(step_summary.deployed(result, closed))
    return result


def _close_stale(repository: Repository, plan: _Plan, main: str) -> list[int]:
    """Closes rollbacks after a former failure and, as only production's model is compared with, pull requests that
    compare with a former champion. A failure only warns."""
    github, closed, serves = commit_status.github(), list[int](), plan.record.approval
    if github is not None:
        with commit_status.warn_on_failure("closing outdated pull requests"):
            if plan.staging:
                closed = bot_pull_requests.close_rollbacks(github, serves=serves, file=plan.file, main=main)
            else:
                closed = bot_pull_requests.close_stale(github, Remote(repository), serves=serves, main=main)
    return closed


def _deploy(repository: Repository, plan: _Plan) -> DeploymentResult:
    platform_stack.refuse_root()
    platform, where = _platforms(plan)
    refusal = approval_gate.of_merge(repository, plan.record, plan.commit, plan.file)
    if refusal is not None and not _has_served(plan, where.bucket):
        raise Refused(refusal)
    with stage(f"Verifying approval {plan.record.approval:04d} against the registry"):
        package = approval_verification.against_registry(plan.record, platform)
        path = str(config.approval_path(plan.record.approval))
        artifact = model_archive.read(package, plan.record.artifact.sha256, path)
    with stage(f"Verifying the statement of provenance of approval {plan.record.approval:04d}"):
        signed = provenance.verify(repository, plan.commit, plan.record)
    if not signed:
        note(
            f"{path} has no signed statement of provenance and is older than those that have one, or there is none yet"
        )
    name, limit = plan.serving.endpoint, plan.serving.rollout.timeout_minutes * 60
    with stage(f"Waiting for other changes of endpoint {name} to finish"):
        before = endpoint.settled(name, timeout_seconds=limit)
        if before is not None and before.moving:
            raise DeploymentFailed(
                f"{endpoint.serving(name)} since before this deployment; nothing was changed. Run it again"
            )
    started, began, identifier = clock.now(), time.monotonic(), str(uuid.uuid4())
    canary, not_compared = None, _why_not_compared(plan, before)
    if plan.serving.rollout.canary is not None and not_compared is None:
        canary = _canary(plan, plan.serving.rollout.canary, artifact, where.bucket, started)
    if plan.staging:
        with stage(f"Registering the same artifact in {where.package_group}"):
            package = stage_package.ensure(plan.record, package, where)
    order = deployment_records.order(
        identifier,
        plan.record,
        plan.serving,
        commit=plan.commit,
        serving_sha256=plan.serving_sha256,
        package_arn=package.arn,
    )
    answers = deployment_records.Answers(where.bucket)
    configuration, outcome, result, failure = None, None, None, None
    superseded: tuple[str, ...] = ()
    try:
        with endpoint_scaling.adjusted(plan.serving, warn=_annotate):
            with stage(f"Approving {package.arn} and no other"):
                superseded = rollout.order(order, package, where)
            with stage(f"Waiting for {where.deploy_function} to answer"):
                outcome = rollout.answer(answers, identifier, package.arn, limit)
                configuration = outcome.endpoint_config or ""
            with stage(f"Waiting for endpoint {name} to settle on {configuration}"):
                rollout.wait(name, configuration, limit - (time.monotonic() - began), canary)
            with stage("Scoring known transactions"):
                result = smoke.check(name, artifact.model, plan.record.approval, token=identifier)
    except DeploymentFailed as error:
        failure = error
    uri = deployment_records.record(
        where.bucket,
        deployment_records.Deployment(
            approval=plan.record.approval,
            model_package_arn=package.arn,
            artifact_sha256=artifact.sha256,
            artifact_uri=package.model_data_url,
            endpoint=name,
            endpoint_config=configuration,
            status="failed" if failure else "succeeded",
            reason=str(failure or ""),
            commit=plan.commit,
            desired=identifier,
            smoke=asdict(result) if result else None,
            started=clock.stamp(started),
            finished=clock.stamp(clock.now()),
        ),
    )
    if failure is not None or outcome is None:
        again = "`fraudops deploy` again, or go back with `fraudops rollback`"
        if plan.staging:
            again = (
                "`fraudops deploy --staging` again, or go back with `fraudops rollback --staging`; nothing is promoted"
            )
        raise DeploymentFailed(
            f"Approval {plan.record.approval:04d} was not deployed: {failure}. Now {endpoint.serving(name)}. "
            f"Remove the cause and run {again}. See {uri}"
        ) from failure
    return DeploymentResult(
        state=outcome.outcome,
        commit=plan.commit,
        approval=plan.record.approval,
        model_package_arn=package.arn,
        artifact_sha256=artifact.sha256,
        signed=signed,
        endpoint=name,
        endpoint_config=configuration,
        superseded=superseded,
        smoke=result,
        canary=str(canary.comparison) if canary else not_compared,
        canary_warning=canary.warning if canary else None,
        history_uri=uri,
        seconds=time.monotonic() - began,
    )


def _has_served(plan: _Plan, bucket: str) -> bool:
    """Whether a deployment of this approval has succeeded on the endpoint, so that this one approves nothing."""
    served = (plan.record.approval, plan.record.artifact.sha256, plan.serving.endpoint, "succeeded")
    return any(
        (past.approval, past.artifact_sha256, past.endpoint, past.status) == served
        for past in deployment_records.history(bucket)
    )


def _annotate(text: str) -> None:
    command(runner_commands.annotate("error", text))


def _platforms(plan: _Plan) -> tuple[platform_stack.Platform, platform_stack.Platform]:
    """Production's platform and that of the stage to deploy; Refused if the stage serves on another endpoint."""
    platform = platform_stack.read()
    stack = platform_stack.staging_stack_name() if plan.staging else None
    where = platform_stack.read(stack) if plan.staging else platform
    allowed = platform_stack.endpoint_name(stack)
    if plan.serving.endpoint != allowed:
        raise Refused(
            f"{plan.file}: endpoint is {plan.serving.endpoint}, and the platform serves on {allowed} only; "
            f"nothing was changed. To move the platform to it run `fraudops bootstrap{' --staging' if stack else ''}`, "
            "then delete the former endpoint"
        )
    return platform, where


def _why_not_compared(plan: _Plan, before: endpoint.State | None) -> str | None:
    """Why a canary's answers are not compared; None if they are, and without a canary."""
    number = plan.record.approval
    if plan.serving.rollout.canary is None or before is None or before.approval != number:
        return None
    why = f"not compared: approval {number:04d} served before, and its fleets' answers cannot be told apart"
    note(f"The canary is {why}")
    return why


def _canary(plan: _Plan, settings: config.Canary, model: Artifact, bucket: str, since: datetime) -> CanaryWatch:
    """What compares the canary's answers."""
    document = model.model.document
    answers = ModelAnswers(
        bucket,
        plan.serving.endpoint,
        f"{plan.record.approval:04d}",
        since,
        inputs=model.model.inputs,
        texts=TextInputs(iso_times=document.iso_times, levels=document.levels),
    )
    return CanaryWatch(plan.serving.endpoint, settings, model.baseline, answers.new)


def _plan(repository: Repository, main: str, file: Path) -> _Plan | None:
    """The approval that the serving pointer in `file` on `main` names; None if it names none."""
    branch = repository.branch()
    if branch != main:
        raise GitError(
            f"deploy applies the state of {main}, but {branch or 'no branch'} is checked out; run `git switch {main}`"
        )
    dirty = repository.dirty("model-config")
    if dirty:
        raise GitError(
            f"{', '.join(dirty)}: uncommitted changes, and only committed files are deployed; "
            "commit or stash the changes"
        )
    commit = repository.head()
    text = serving.read_text(repository, commit, file)
    pointed = serving.read(repository, commit, file)
    if pointed.approval is None:
        note(f"{file} says approval: null, so there is nothing to deploy; merge an approval first")
        return None
    record = approvals.read_record(repository, commit, pointed.approval)
    if record is None:
        raise Refused(
            f"{file} points at approval {pointed.approval:04d}, but {config.approval_path(pointed.approval)} "
            "is not in Git, so it was never approved; nothing was changed. Move the pointer back, or merge the approval"
        )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return _Plan(commit=commit, serving=pointed, serving_sha256=digest, record=record, file=file)
