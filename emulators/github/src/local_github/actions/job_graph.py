"""Runs the jobs of one attempt in the order of their needs, by GitHub's rules; act runs each of them alone.

Evaluates `if`, matrices, `continue-on-error`, fail-fast, `runs-on`, environments and calls of reusable workflows. A job
that was not started when its run is cancelled does not start, not even with `if: always()`, as it would on GitHub.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_github.actions import action_overrides, job_workflow, matrix, pre_run_expressions, reusable_workflows
from local_github.actions.act_runner import Attempt, Cancellation, check_out
from local_github.actions.job_contract import JobHost
from local_github.actions.job_records import JobRecorder
from local_github.actions.job_steps import JobResult, StepsRequest, StepsRunner
from local_github.actions.matrix import Strategy
from local_github.actions.run_records import Job as JobRecord
from local_github.actions.run_records import conclude
from local_github.actions.workflow_file import Job, Level, Workflow, WorkflowInvalid

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Scope:
    """One workflow file of the attempt: the run's, or a called one."""

    workflow: Workflow
    inputs: Mapping[str, Any]
    records: dict[str, JobRecord]
    prefix: str = ""
    """Starts the names of the jobs: `CALLER / ` in a called workflow."""
    secrets: Mapping[str, str] | None = None
    limit: Mapping[str, Level] | None = None
    """The permissions of the calling job."""
    cancel: Cancellation = field(default_factory=Cancellation)
    """Set when the matrix of the calling job fails fast."""
    results: dict[str, JobResult] = field(default_factory=dict)
    done: dict[str, threading.Event] = field(default_factory=dict)
    all_records: list[JobRecord] = field(default_factory=list)


@dataclass(kw_only=True)
class _Matrix:
    """The jobs of one matrix while they run."""

    strategy: Strategy
    records: list[JobRecord]
    cancel: Cancellation
    slots: threading.Semaphore
    outputs: dict[str, str] = field(default_factory=dict)


class JobGraph:
    """The jobs of one attempt. `lock` guards the records of the run."""

    def __init__(
        self,
        attempt: Attempt,
        host: JobHost,
        *,
        lock: threading.RLock,
        new_id: Callable[[], int],
        now: Callable[[], str],
    ) -> None:
        self._attempt, self._host = attempt, host
        self._steps = StepsRunner(attempt, host, lock=lock, now=now)
        self._recorder = JobRecorder(attempt.run, lock=lock, new_id=new_id)
        self._overrides: dict[str, dict[str, Path]] = {}

    @property
    def problems(self) -> list[str]:
        """Why jobs could not be run."""
        return self._steps.problems

    def prepare(self) -> None:
        """Checks all files of the attempt and creates the records of its jobs.

        Raises:
            WorkflowInvalid: the emulator cannot run it; the message says why.
        """
        check_out(self._attempt)
        self._check(self._attempt.workflow, 0)
        for job in self._attempt.workflow.jobs:
            self._recorder.add(job, job.id, job.name)

    def _check(self, workflow: Workflow, level: int) -> None:
        job_workflow.check(workflow)
        uses = action_overrides.find_action_uses(workflow, self._attempt.checkout)
        self._overrides[workflow.path] = action_overrides.resolve_overrides(uses)
        for job in workflow.jobs:
            where = f"{workflow.path}: job {job.id}"
            self._check_expressions(job)
            if job.uses is None:
                continue
            if level >= reusable_workflows.LEVELS_LIMIT:
                raise WorkflowInvalid(f"{where}: workflows call each other more than {level} levels deep")
            called = self._host.called_workflow(reusable_workflows.path_of(job, where))
            reusable_workflows.check(called, where)
            self._check(called, level + 1)

    def _check_expressions(self, job: Job) -> None:
        needed = {**self._host.contexts, "inputs": {}, "needs": {}}
        pre_run_expressions.check(job.raw.get("if"), needed, is_condition=True)
        pre_run_expressions.check(job.raw.get("strategy"), needed)
        inside = {**needed, "matrix": {}, "strategy": {}}
        for key in ("name", "runs-on", "environment", "continue-on-error", "timeout-minutes", "with"):
            value = job.raw.get(key)
            pre_run_expressions.check(
                value.get("name") if isinstance(value, dict) and key == "environment" else value, inside
            )

    def run(self) -> str:
        """Runs all jobs and returns the conclusion."""
        run, workflow = self._attempt.run, self._attempt.workflow
        records = dict(zip((job.id for job in workflow.jobs), list(run.jobs), strict=True))
        scope = _Scope(workflow=workflow, inputs=self._host.contexts["inputs"], records=records)
        try:
            self._run_scope(scope)
        finally:
            shutil.rmtree(self._attempt.checkout, ignore_errors=True)
        return conclude(run.jobs, cancelled=self._attempt.cancel.is_set())

    def _run_scope(self, scope: _Scope) -> None:
        scope.done = {job.id: threading.Event() for job in scope.workflow.jobs}
        _in_threads([(self._run_job, (scope, job)) for job in scope.workflow.jobs])

    # --- one entry of `jobs:`

    def _run_job(self, scope: _Scope, job: Job) -> None:
        record = scope.records[job.id]
        for need in job.needs:
            scope.done[need].wait()
        result = JobResult(result="failure")
        try:
            result = self._decide(scope, job, record)
        except WorkflowInvalid as error:
            self._steps.fail(record, str(error))
        except Exception as error:  # an error must end the job, so that the run ends
            _log.exception("job %s of run %s", job.id, self._attempt.run.id)
            self._steps.fail(record, f"job {job.id}: {type(error).__name__}: {error}")
        finally:
            if record not in scope.all_records:
                scope.all_records.append(record)
            scope.results[job.id] = result
            scope.done[job.id].set()

    def _decide(self, scope: _Scope, job: Job, record: JobRecord) -> JobResult:
        contexts = self._contexts(scope, job)
        if self._cancelled(scope):
            return self._steps.finish(record, "cancelled")
        if not self._condition(scope, job, contexts):
            return self._steps.finish(record, "skipped")
        where = f"{scope.workflow.path}: job {job.id}"
        strategy = matrix.expand(pre_run_expressions.resolve(job.raw.get("strategy"), contexts), where)
        records = self._recorder.copies(record, job, len(strategy.combinations))
        group = _Matrix(
            strategy=strategy,
            records=records,
            cancel=Cancellation(scope.cancel),
            slots=threading.Semaphore(strategy.max_parallel or len(records)),
        )
        results: list[str] = [""] * len(records)

        def run_one(index: int) -> None:
            with group.slots:
                results[index] = self._run_combination(scope, job, contexts, group, index)

        scope.all_records += records if job.uses is None else []
        _in_threads([(run_one, (index,)) for index in range(len(records))])
        worst = next((name for name in ("failure", "cancelled", "success") if name in results), "skipped")
        return JobResult(result=worst, outputs=group.outputs)

    def _condition(self, scope: _Scope, job: Job, contexts: Mapping[str, Any]) -> bool:
        ancestors = [scope.results[name].result for name in _ancestors(scope.workflow, job)]
        functions: pre_run_expressions.Functions = {
            "success": lambda _: all(result == "success" for result in ancestors),
            "failure": lambda _: "failure" in ancestors,
            "cancelled": lambda _: self._cancelled(scope),
            "always": lambda _: True,
        }
        text = job.raw.get("if", "success()")
        return pre_run_expressions.condition(pre_run_expressions.as_text(text), contexts, functions)

    def _run_combination(
        self,
        scope: _Scope,
        job: Job,
        outer: Mapping[str, Any],
        group: _Matrix,
        index: int,
    ) -> str:
        """Runs one job of a matrix and returns its result, as dependents see it."""
        record = group.records[index]
        combination = group.strategy.combinations[index]
        contexts = {**outer, "matrix": combination.values, "strategy": group.strategy.context(index)}
        evaluated = pre_run_expressions.has_expression(job.name)
        name = pre_run_expressions.interpolate(job.name, contexts)
        record.matrix = combination.values
        record.name = scope.prefix + matrix.job_name(name, combination, evaluated=evaluated)
        try:
            if self._attempt.cancel.is_set() or group.cancel.is_set():
                return self._steps.finish(record, "cancelled").result
            if job.uses is not None:
                found = self._call(scope, job, contexts, group, record)
            else:
                found = self._steps.run(
                    StepsRequest(
                        workflow=scope.workflow,
                        job=job,
                        record=record,
                        contexts=contexts,
                        permissions=reusable_workflows.capped(job.permissions, scope.limit),
                        secrets=scope.secrets,
                        overrides=self._overrides[scope.workflow.path],
                        cancel=group.cancel,
                        fail_fast=group.strategy.fail_fast,
                    )
                )
        except WorkflowInvalid as error:
            found = self._steps.fail(record, str(error))
        except Exception as error:  # an error must end the job, so that the run ends
            _log.exception("job %s of run %s", job.id, self._attempt.run.id)
            found = self._steps.fail(record, f"job {job.id}: {type(error).__name__}: {error}")
        group.outputs.update({key: value for key, value in found.outputs.items() if value})
        if found.result == "failure" and group.strategy.fail_fast:
            group.cancel.set()
        return found.result

    # --- calls

    def _call(
        self, scope: _Scope, job: Job, contexts: Mapping[str, Any], group: _Matrix, record: JobRecord
    ) -> JobResult:
        where = f"{scope.workflow.path}: job {job.id}"
        called = self._host.called_workflow(reusable_workflows.path_of(job, where))
        block = reusable_workflows.check(called, where)
        available = self._host.secrets() if scope.secrets is None else scope.secrets
        prefix = f"{record.name} / "
        records = self._recorder.created(
            [(inner, f"{record.key}/{inner.id}", prefix + inner.name) for inner in called.jobs]
        )
        inner = _Scope(
            workflow=called,
            inputs=reusable_workflows.inputs(block, job.raw.get("with"), contexts, where),
            records=dict(zip((entry.id for entry in called.jobs), records, strict=True)),
            prefix=prefix,
            secrets=reusable_workflows.secrets(block, job.raw.get("secrets"), available, contexts, where),
            limit=reusable_workflows.capped(job.permissions, scope.limit),
            cancel=group.cancel,
        )
        self._recorder.replace(record, records)
        self._run_scope(inner)
        scope.all_records += inner.all_records
        cancelled = self._attempt.cancel.is_set() or group.cancel.is_set()
        jobs = {name: found.context() for name, found in inner.results.items()}
        return JobResult(
            result=conclude(inner.all_records, cancelled=cancelled),
            outputs=reusable_workflows.outputs(block, jobs, {**self._host.contexts, "inputs": inner.inputs}),
        )

    # --- helpers

    def _contexts(self, scope: _Scope, job: Job) -> dict[str, Any]:
        needs = {name: scope.results[name].context() for name in job.needs}
        return {**self._host.contexts, "inputs": scope.inputs, "needs": needs}

    def _cancelled(self, scope: _Scope) -> bool:
        return self._attempt.cancel.is_set() or self._attempt.kill.is_set() or scope.cancel.is_set()


def _ancestors(workflow: Workflow, job: Job) -> set[str]:
    """The jobs that must end before `job`, directly or not."""
    found: set[str] = set()
    left: list[str] = list(job.needs)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += workflow.job(name).needs
    return found


def _in_threads(calls: Sequence[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    """Makes the calls at the same time and waits for their end."""
    threads = [threading.Thread(target=call, args=arguments, daemon=True) for call, arguments in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
