"""CreateProcessingJob and CreateTrainingJob called directly: runs the job as a step of an execution would run.

Describe, List and Stop answer for these jobs and for those of executions. The Create calls of other kinds of jobs are
refused, because nothing would run.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from local_aws.errors import AwsError, EmitEvent, NotHandled, OperationHandler
from local_aws.sagemaker.pipelines import argument_validation, names
from local_aws.sagemaker.pipelines.jobs.catalog import KINDS, JobCatalog, Kind
from local_aws.sagemaker.pipelines.jobs.contract import Jobs
from local_aws.sagemaker.pipelines.jobs.runner import JobFailed, JobRequest, JobStopped
from local_aws.sagemaker.pipelines.jobs.storage import ClientFault, CreateFault
from local_aws.sagemaker.pipelines.retry_policies import JobInternalError
from local_aws.service_rules.catalog import violation

log = logging.getLogger(__name__)

FOLDER = "jobs"
"""The folder, beside those of the executions, of jobs that no execution started."""
_CREATE_JOB = re.compile(r"^Create\w*Job(V2)?$")


@dataclass
class _Running:
    """A job that was created directly: its thread, and how to stop it."""

    description: dict[str, Any]
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class JobService:
    """The operations on jobs, by operation name. `page` renders a List call's page."""

    def __init__(
        self,
        jobs: Jobs,
        catalog: JobCatalog,
        *,
        emit: EmitEvent,
        page: Callable[[str, list[dict[str, Any]], Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        self._jobs, self._catalog, self._emit, self._page = jobs, catalog, emit, page
        self._lock = threading.Lock()
        self._running: dict[str, _Running] = {}
        self._closed = False
        self.operations: dict[str, OperationHandler] = {
            name: _refusal(name) for name in argument_validation.operations() if _CREATE_JOB.match(name)
        }
        for kind in KINDS:
            self.operations |= self._operations_of(kind)

    def close(self) -> None:
        """Stops every job and waits for its end; refuses new ones."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for job in running:
            job.stop.set()
        for job in running:
            if job.thread is not None:
                job.thread.join(60.0)

    def _operations_of(self, kind: Kind) -> dict[str, OperationHandler]:
        return {
            f"Create{kind}Job": lambda request: self._create(kind, request),
            f"Describe{kind}Job": lambda request: self._describe(kind, request),
            f"List{kind}Jobs": lambda request: self._page(
                f"{kind}JobSummaries", self._catalog.summaries(kind, request), request
            ),
            f"Stop{kind}Job": lambda request: self._stop(kind, request),
        }

    def _create(self, kind: Kind, request: dict[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}JobName"]
        arn = self._catalog.arn(kind, name)
        job = _Running(description={})
        with self._lock:
            if self._closed:
                raise AwsError("ServiceUnavailable", "The AWS emulator is stopping.", 503)
            if not self._catalog.add(arn, job.description):
                raise violation(f"sagemaker-{kind.lower()}-job-exists", arn=arn)
            self._running[arn] = job
        settled = threading.Event()
        refusals: list[Exception] = []

        def created() -> None:
            self._emit_change(kind, arn, job.description)
            settled.set()

        arguments = {member: value for member, value in request.items() if member != f"{kind}JobName"}
        order = JobRequest(FOLDER, name, arn, arguments, job.description, job.stop, created)

        def run() -> None:
            try:
                (self._jobs.processing if kind == "Processing" else self._jobs.training)(order)
            except (JobFailed, JobStopped, JobInternalError, ClientFault) as error:
                refusals.append(error)  # the description has the reason if the job exists
            except Exception as error:
                log.exception("internal error in %s", arn)
                refusals.append(error)
            finally:
                if settled.is_set():
                    self._emit_change(kind, arn, job.description)
                settled.set()

        job.thread = threading.Thread(target=run, name=f"job-{name}", daemon=True)
        job.thread.start()
        settled.wait()
        if f"{kind}JobArn" in job.description:
            return {f"{kind}JobArn": arn}
        job.thread.join()
        self._catalog.remove(arn)
        with self._lock:
            self._running.pop(arn, None)
        error = refusals[0]
        if isinstance(error, CreateFault | KeyError):
            missing = f"{error.args[0]} is required" if isinstance(error, KeyError) else str(error)
            raise AwsError("ValidationException", missing) from error
        if isinstance(error, ClientError):  # of a call that the job's role or its caller may not make
            details = error.response["Error"]
            raise AwsError(details["Code"], details["Message"]) from error
        raise error

    def _describe(self, kind: Kind, request: Mapping[str, Any]) -> dict[str, Any]:
        description = self._catalog.describe(kind, request[f"{kind}JobName"])
        if description is None:
            raise NotHandled  # moto answers for a job that does not exist
        wired: dict[str, Any] = names.wire(description)
        return wired

    def _stop(self, kind: Kind, request: Mapping[str, Any]) -> dict[str, Any]:
        name = request[f"{kind}JobName"]
        description = self._catalog.find(kind, name)
        if description is None:
            raise AwsError("ResourceNotFound", f"Could not find the {kind.lower()} job {name}.")
        status = description[f"{kind}JobStatus"]
        arn = self._catalog.arn(kind, name)
        with self._lock:
            job = self._running.get(arn)
        if status != "InProgress":
            raise AwsError(
                "ValidationException",
                f"The request was rejected because the {kind.lower()} job is in status {status}.",
            )
        if job is None:
            raise AwsError(
                "ValidationException",
                f"{name} belongs to a pipeline execution; the AWS emulator stops it with StopPipelineExecution.",
            )
        description[f"{kind}JobStatus"] = "Stopping"
        self._emit_change(kind, arn, description)
        job.stop.set()
        return {}

    def _emit_change(self, kind: Kind, arn: str, description: Mapping[str, Any]) -> None:
        members = argument_validation.response_members(f"Describe{kind}Job")
        detail = {member: _event_value(value) for member, value in dict(description).items() if member in members}
        try:
            self._emit(f"SageMaker {kind} Job State Change", detail, (arn,))
        except Exception:
            log.exception("could not deliver an event of %s", arn)


def _refusal(operation: str) -> OperationHandler:
    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise AwsError(
            "ValidationException",
            f"The AWS emulator does not run what {operation} creates, so it refuses the call. It runs "
            "CreateProcessingJob, CreateTrainingJob and pipelines.",
        )

    return refuse


def _event_value(value: Any) -> Any:
    """`value` with times as milliseconds since the epoch, as in SageMaker's job events."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, Mapping):
        return {key: _event_value(item) for key, item in value.items()}
    return [_event_value(item) for item in value] if isinstance(value, list | tuple) else value
