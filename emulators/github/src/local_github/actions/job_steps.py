"""Runs the steps of one job with act: labels, timeout, environment, tokens, outputs. Decides no order of jobs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_github.actions import job_workflow, pre_run_expressions
from local_github.actions.act_runner import Attempt, Cancellation, JobExecution, execute
from local_github.actions.job_contract import DeploymentRefused, JobHost, JobRequest
from local_github.actions.log_parser import LogParser, annotate
from local_github.actions.run_records import Job as JobRecord
from local_github.actions.workflow_file import Job, Level, Workflow, labels, timeout_minutes

_PARALLEL_JOBS = 2


@dataclass(kw_only=True)
class JobResult:
    """The result and the outputs of a job, as its dependents see them."""

    result: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)

    def context(self) -> dict[str, Any]:
        """The job in the contexts `needs` and `jobs`."""
        return {"result": self.result, "outputs": self.outputs}


@dataclass(frozen=True, kw_only=True)
class StepsRequest:
    """One job whose steps are due."""

    workflow: Workflow
    job: Job
    record: JobRecord
    contexts: Mapping[str, Any]
    permissions: Mapping[str, Level]
    secrets: Mapping[str, str] | None
    """The secrets that the caller of a reusable workflow passed; None without a caller."""
    overrides: Mapping[str, Path]
    cancel: Cancellation
    """Of the job's matrix; set here when the job fails and `fail_fast` is set."""
    fail_fast: bool


class StepsRunner:
    """Runs jobs of one attempt, at most two at a time. `problems` are messages for the end of the run."""

    def __init__(self, attempt: Attempt, host: JobHost, *, lock: threading.RLock, now: Callable[[], str]) -> None:
        self._attempt, self._host, self._lock, self._now = attempt, host, lock, now
        self._slots = threading.Semaphore(_PARALLEL_JOBS)
        self.problems: list[str] = []
        """Why jobs could not be run."""

    def finish(self, record: JobRecord, conclusion: str) -> JobResult:
        """Completes a job that runs no steps."""
        with self._lock:
            record.finish(conclusion, self._now())
        self._host.changed()
        return JobResult(result=conclusion)

    def fail(self, record: JobRecord, message: str) -> JobResult:
        """Completes a job as failed, with the message as its annotation."""
        with self._lock:
            self.problems.append(message)
            annotate(record, "failure", message)
        return self.finish(record, "failure")

    def run(self, request: StepsRequest) -> JobResult:
        """Runs a job to its end.

        Raises:
            WorkflowInvalid: a setting of the job is wrong or not supported; the message says why.
        """
        job, record, contexts = request.job, request.record, request.contexts
        where = f"{request.workflow.path}: job {job.id}"
        record.labels = labels(pre_run_expressions.resolve(job.raw["runs-on"], contexts), where)
        job_workflow.check_labels(record.labels, where)
        minutes = timeout_minutes(pre_run_expressions.resolve(job.timeout_minutes, contexts), where)
        record.tolerated = pre_run_expressions.is_true(job.raw.get("continue-on-error", False), contexts)
        environment = pre_run_expressions.interpolate(job.environment, contexts) if job.environment else None

        def cancelled() -> bool:
            return self._attempt.cancel.is_set() or self._attempt.kill.is_set() or request.cancel.is_set()

        if environment:
            try:
                self._host.enter_environment(environment, record, cancelled)
            except DeploymentRefused as error:
                return self.fail(record, str(error))
        with self._slots:
            if cancelled():
                return self.finish(record, "cancelled")
            outputs = self._execute(request, environment, minutes * 60)
            if record.conclusion == "failure" and not record.tolerated and request.fail_fast:
                request.cancel.set()  # before the next job of the matrix gets this one's slot
        self._host.changed()
        result = "success" if record.tolerated and record.conclusion == "failure" else str(record.conclusion)
        return JobResult(result=result, outputs=outputs)

    def _execute(self, request: StepsRequest, environment: str | None, timeout_seconds: float) -> dict[str, str]:
        """Runs act and returns the outputs of the job."""
        run, record = self._attempt.run, request.record
        opening = JobRequest(
            record=record,
            job=request.job,
            workflow=request.workflow,
            environment=environment,
            permissions=request.permissions,
            secrets=request.secrets,
        )
        settings = self._host.open_job(opening)
        try:
            outputs = run.attempt_folder / f"outputs{record.id}.json"
            document = job_workflow.build(
                request.workflow,
                request.job,
                event=run.event,
                name=run.workflow,
                contexts=request.contexts,
                outputs=outputs,
            )
            execution = JobExecution(
                document=document,
                environment=settings.environment,
                secrets=settings.secrets,
                variables=settings.variables,
                timeout_seconds=timeout_seconds,
                work=run.attempt_folder / f"work{record.id}",
                overrides=request.overrides,
                cancel=request.cancel,
            )
            self._run_act(request, execution)
        finally:
            self._host.close_job(opening)
        return _read_outputs(outputs)

    def _run_act(self, request: StepsRequest, execution: JobExecution) -> None:
        record = request.record
        parser = LogParser(self._attempt.run, record, request.job, lock=self._lock, now=self._now)
        with self._lock:
            record.status, record.started = "in_progress", self._now()
        self._host.changed()
        code = execute(self._attempt, execution, parser)
        if record.status == "completed":
            return
        if parser.cancelling or not code:
            self.finish(record, "cancelled")
        else:
            self.fail(record, f"job {request.job.id}: act ended with {code}: {' '.join(parser.act_messages)}")


def _read_outputs(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    return {str(name): str(value) for name, value in (found or {}).items()}
