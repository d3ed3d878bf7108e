"""One execution of a pipeline: which step runs when, what follows from a failure, a stop, a retry.

A step starts when all that it needs has succeeded. After a failure nothing more starts; what runs is let finish, and
the execution fails. (What AWS does with steps that run beside a failing one is not documented; letting them finish
keeps their results for a retry.)
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
from local_aws.sagemaker.pipelines.events import Events
from local_aws.sagemaker.pipelines.job_process import JobStopped
from local_aws.sagemaker.pipelines.parameters import Value
from local_aws.sagemaker.pipelines.step_types import Identity, Record, StepFailed, Steps
from local_aws.sagemaker.pipelines.value_resolution import Scope

log = logging.getLogger(__name__)

FAILED = "Step failure: One or multiple steps failed."
MAX_PARALLEL_STEPS = 50  # AWS's default; how many jobs run at once is the machine's business
_DONE = ("Succeeded", "Failed", "Stopped")


class Execution:
    """One execution; every public member may be used from any thread."""

    def __init__(
        self,
        identity: Identity,
        *,
        definition: Definition,
        text: str,
        values: Mapping[str, Value],
        steps: Steps,
        events: Events,
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
        self._records: dict[str, Record] = {}
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins, and returns at once."""
        with self._lock:
            self._begin(None)

    def stop(self) -> None:
        """Asks for a stop: running jobs are ended, nothing more starts.

        Raises:
            AwsError: ValidationException; the execution is over.
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
            self._move("Stopping")
            for record in self._records.values():
                if record.status == "Executing":
                    self._move_step(record, "Stopping")
            self._changed.notify_all()

    def retry(self, parallel: int | None) -> None:
        """Runs what failed, was stopped or never ran; what succeeded stays.

        Raises:
            AwsError: ValidationException; the execution neither failed nor was stopped.
        """
        if self.status in _DONE:
            self.wait(60)  # the last moments of the thread that said so
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
            self._begin(self._status)

    def end(self, timeout: float) -> None:
        """Stops it if it runs, and waits for its jobs to be gone."""
        with self._lock:
            running = self._status == "Executing"
        if running:
            try:
                self.stop()
            except AwsError:
                log.debug("%s ended by itself", self.identity.arn)
        self.wait(timeout)

    def wait(self, timeout: float) -> bool:
        """Whether the execution is over within `timeout` seconds."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    @property
    def status(self) -> str:
        with self._lock:
            return self._status

    def describe(self) -> dict[str, Any]:
        """As DescribePipelineExecution shows it."""
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
        """As ListPipelineExecutions shows it."""
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
        """The steps that started, the first first."""
        with self._lock:
            return [record.describe() for record in self._records.values()]

    def _begin(self, previous: str | None) -> None:
        self._move("Executing", previous)
        self._thread = threading.Thread(target=self._drive, name=f"execution-{self.identity.id}", daemon=True)
        self._thread.start()

    def _drive(self) -> None:
        limit = min(self.parallel or MAX_PARALLEL_STEPS, len(self.definition.steps))
        with ThreadPoolExecutor(limit, thread_name_prefix=f"step-{self.identity.id}") as pool, self._lock:
            while True:
                running = sum(record.status not in _DONE for record in self._records.values())
                ready = self._ready()[: limit - running]
                for step in ready:
                    record = self._records[step.name] = Record(step, "Starting", names.now())
                    self._move_step(record, "Executing")
                    pool.submit(self._run, record)
                if not ready and not running:
                    break
                self._changed.wait()
            statuses = {record.status for record in self._records.values()}
            if "Failed" in statuses:
                self._failure = FAILED
            stopped = self._stop.is_set() and "Failed" not in statuses
            self._move("Stopped" if stopped else "Failed" if self._failure else "Succeeded")

    def _ready(self) -> list[Step]:
        """The steps that can start now, in the definition's order."""
        records = self._records
        if self._stop.is_set() or any(record.status == "Failed" for record in records.values()):
            return []

        def can(step: Step) -> bool:
            if step.name in records or any(n not in records or records[n].status != "Succeeded" for n in step.needs):
                return False
            return step.branch is None or records[step.branch[0]].outcome is step.branch[1]

        return [step for step in self.definition.steps.values() if can(step)]

    def _run(self, record: Record) -> None:
        status, failure = "Succeeded", ""
        try:
            self._steps.run(self.identity, record, self._scope(), self._stop)
        except JobStopped:
            status = "Stopped"
        except StepFailed as error:
            status, failure = "Failed", str(error)
        except Exception as error:
            # A fault of this machinery must end the execution, not hang it.
            log.exception("step %s of %s", record.step.name, self.identity.arn)
            status, failure = "Failed", f"InternalServerError: {type(error).__name__}: {error}"[:1024]
        with self._lock:
            record.ended, record.failure = names.now(), failure
            self._move_step(record, status)
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
            self._steps.jobs.machine.storage,
        )

    def _move(self, status: str, previous: str | None = None) -> None:
        before = previous or (self._status if self._status != status else None)
        self._status, self.modified = status, names.now()
        self._events.execution(
            self.identity,
            status=status,
            previous=before,
            started=self.created,
            ended=self.modified if status in _DONE else None,
            display_name=self.display_name,
            description=self.description,
        )

    def _move_step(self, record: Record, status: str) -> None:
        previous, record.status = record.status, status
        self._events.step(self.identity, record, previous)

    def created_between(self, after: datetime | None, before: datetime | None) -> bool:
        """Whether it was created in that time."""
        return (after is None or self.created > after) and (before is None or self.created < before)
