"""Runs one execution of a pipeline: schedules its steps, stops and retries it.

A step starts when all steps it needs have succeeded. After a failure no step starts, running steps finish, and the
execution fails. (AWS does not document what happens to steps that run beside a failing one; letting them finish keeps
their results for a retry.)
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from local_aws.errors import AwsError
from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.definition import Definition, Step
from local_aws.sagemaker.pipelines.events import PipelineEvents
from local_aws.sagemaker.pipelines.jobs.runner import JobStopped
from local_aws.sagemaker.pipelines.parameters import Value
from local_aws.sagemaker.pipelines.step_types import ExecutionIdentity, StepFailed, StepRecord, StepRunner
from local_aws.sagemaker.pipelines.value_resolution import Scope

log = logging.getLogger(__name__)

FAILURE_REASON = "Step failure: One or multiple steps failed."
MAX_PARALLEL_STEPS = 50  # AWS's default; PipelineService limits the concurrent jobs
_FINAL_STATUSES = ("Succeeded", "Failed", "Stopped")


class Execution:
    """One execution; every public member is thread-safe."""

    def __init__(
        self,
        identity: ExecutionIdentity,
        *,
        definition: Definition,
        text: str,
        values: Mapping[str, Value],
        steps: StepRunner,
        events: PipelineEvents,
        display_name: str,
        description: str,
        parallel: int | None,
        role: str,
    ) -> None:
        self.identity, self.definition, self.text, self.values = identity, definition, text, values
        self.created = self.modified = names.now()
        self.display_name, self.description, self.parallel, self.role = display_name, description, parallel, role
        self._steps, self._events = steps, events
        self._status, self._failure = "Executing", ""
        self._records: dict[str, StepRecord] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the execution in the background."""
        with self._lock:
            self._start_thread(None)

    def stop(self) -> None:
        """Requests a stop: ends running jobs, starts no more steps.

        Raises:
            AwsError: ValidationException if the execution has ended.
        """
        with self._lock:
            if self._status == "Stopping":
                return
            if self._status != "Executing":
                raise AwsError(
                    "ValidationException",
                    f"Pipeline execution with ARN {self.identity.arn} has status {self._status} and cannot be stopped.",
                )
            self._stop.set()
            self._set_status("Stopping")
            for record in self._records.values():
                if record.status == "Executing":
                    self._set_step_status(record, "Stopping")
            self._changed.notify_all()

    def retry(self, parallel: int | None) -> None:
        """Runs the steps that have not succeeded.

        Raises:
            AwsError: ValidationException if the execution neither failed nor was stopped.
        """
        if self.status in _FINAL_STATUSES:
            self.wait(60)  # the thread that set the status is about to end
        with self._lock:
            if self._status not in ("Failed", "Stopped") or (self._thread and self._thread.is_alive()):
                raise AwsError(
                    "ValidationException",
                    f"Pipeline execution with ARN {self.identity.arn} has status {self._status} and cannot be retried. "
                    "Only Failed or Stopped executions can.",
                )
            self._records = {name: record for name, record in self._records.items() if record.status == "Succeeded"}
            self._failure, self.parallel = "", parallel or self.parallel
            self._stop.clear()
            self._start_thread(self._status)

    def end(self, timeout: float) -> None:
        """Stops the execution if it runs, and waits until its jobs have ended."""
        with self._lock:
            running = self._status == "Executing"
        if running:
            try:
                self.stop()
            except AwsError:
                log.debug("%s ended before it was stopped", self.identity.arn)
        self.wait(timeout)

    def wait(self, timeout: float) -> bool:
        """Whether the execution ends within `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    @property
    def ended(self) -> bool:
        """Whether it has ended, its events included."""
        return self._thread is None or not self._thread.is_alive()

    @property
    def status(self) -> str:
        with self._lock:
            return self._status

    def describe(self) -> dict[str, Any]:
        """The response of DescribePipelineExecution."""
        with self._lock:
            shown: dict[str, Any] = {
                "PipelineArn": self.identity.pipeline_arn,
                "PipelineExecutionArn": self.identity.arn,
                "PipelineExecutionDisplayName": self.display_name,
                "PipelineExecutionStatus": self._status,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "CreatedBy": {},
                "LastModifiedBy": {},
                "RoleArn": self.role,
            }
            if self.description:
                shown["PipelineExecutionDescription"] = self.description
            if self._failure:
                shown["FailureReason"] = self._failure
            if self.parallel:
                shown["ParallelismConfiguration"] = {"MaxParallelExecutionSteps": self.parallel}
            experiment = self._scope().resolve(self.definition.experiment)
        if experiment:
            shown["PipelineExperimentConfig"] = {
                key: names.text(value).lower()
                for key, value in experiment.items()
                if key in ("ExperimentName", "TrialName")
            }
        return shown

    def summary(self) -> dict[str, Any]:
        """The entry in the response of ListPipelineExecutions."""
        shown = self.describe()
        mapping = {
            "PipelineExecutionArn": "PipelineExecutionArn",
            "StartTime": "CreationTime",
            "PipelineExecutionStatus": "PipelineExecutionStatus",
            "PipelineExecutionDescription": "PipelineExecutionDescription",
            "PipelineExecutionDisplayName": "PipelineExecutionDisplayName",
            "PipelineExecutionFailureReason": "FailureReason",
        }
        return {name: shown[source] for name, source in mapping.items() if source in shown}

    def list_steps(self) -> list[dict[str, Any]]:
        """The steps that have started, oldest first."""
        with self._lock:
            return [record.describe() for record in self._records.values()]

    def _start_thread(self, previous: str | None) -> None:
        self._set_status("Executing", previous)
        self._thread = threading.Thread(target=self._schedule, name=f"execution-{self.identity.id}", daemon=True)
        self._thread.start()

    def _schedule(self) -> None:
        limit = min(self.parallel or MAX_PARALLEL_STEPS, len(self.definition.steps))
        with ThreadPoolExecutor(limit, thread_name_prefix=f"step-{self.identity.id}") as pool, self._lock:
            while True:
                running = sum(record.status not in _FINAL_STATUSES for record in self._records.values())
                ready = self._ready_steps()[: limit - running]
                for step in ready:
                    record = self._records[step.name] = StepRecord(step, "Starting", names.now())
                    self._set_step_status(record, "Executing")
                    pool.submit(self._run, record)
                if not ready and not running:
                    break
                self._changed.wait()
            statuses = {record.status for record in self._records.values()}
            if "Failed" in statuses:
                self._failure = FAILURE_REASON
            stopped = self._stop.is_set() and "Failed" not in statuses
            self._set_status("Stopped" if stopped else "Failed" if self._failure else "Succeeded")

    def _ready_steps(self) -> list[Step]:
        """The steps that can start, in the definition's order."""
        records = self._records
        if self._stop.is_set() or any(record.status == "Failed" for record in records.values()):
            return []

        def is_ready(step: Step) -> bool:
            if step.name in records or any(n not in records or records[n].status != "Succeeded" for n in step.needs):
                return False
            return step.branch is None or records[step.branch[0]].outcome is step.branch[1]

        return [step for step in self.definition.steps.values() if is_ready(step)]

    def _run(self, record: StepRecord) -> None:
        status, failure = "Succeeded", ""
        try:
            self._steps.run(self.identity, record, self._scope(), self._stop)
        except JobStopped:
            status = "Stopped"
        except StepFailed as error:
            status, failure = "Failed", str(error)
        except Exception as error:
            # An internal error must end the execution, not block it.
            log.exception("internal error in step %s of %s", record.step.name, self.identity.arn)
            status, failure = "Failed", f"InternalServerError: {type(error).__name__}: {error}"[:1024]
        with self._lock:
            record.ended, record.failure = names.now(), failure
            self._set_step_status(record, status)
            self._changed.notify_all()

    def _scope(self) -> Scope:
        identity = self.identity
        variables = {
            "StartDateTime": names.iso(self.created),
            "PipelineName": identity.pipeline_name,
            "PipelineArn": identity.pipeline_arn,
            "PipelineExecutionId": identity.id,
            "PipelineExecutionArn": identity.arn,
        }
        return Scope(
            self.values,
            variables,
            self.definition.steps,
            lambda name: self._records[name].properties,
            self._steps.jobs.runner.storage(self.role),
        )

    def _set_status(self, status: str, previous: str | None = None) -> None:
        previous = previous or (self._status if self._status != status else None)
        self._status, self.modified = status, names.now()
        self._events.execution(
            self.identity,
            status=status,
            previous=previous,
            started=self.created,
            ended=self.modified if status in _FINAL_STATUSES else None,
            display_name=self.display_name,
            description=self.description,
        )

    def _set_step_status(self, record: StepRecord, status: str) -> None:
        previous, record.status = record.status, status
        self._events.step(self.identity, record, previous)

    def created_between(self, after: datetime | None, before: datetime | None) -> bool:
        """Whether the execution was created between these times, exclusive; None is unbounded."""
        return (after is None or self.created > after) and (before is None or self.created < before)
