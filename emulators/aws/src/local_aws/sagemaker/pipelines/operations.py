"""Handles SageMaker's operations on pipeline executions.

moto keeps the pipelines: CreatePipeline and UpdatePipeline are validated here and left to moto. State is in memory.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_aws.errors import AwsError, EmitEvent, NotHandled, OperationHandler
from local_aws.faults import FaultPlan
from local_aws.sagemaker.pipelines import definition, names, parameters
from local_aws.sagemaker.pipelines.events import PipelineEvents
from local_aws.sagemaker.pipelines.execution import Execution
from local_aws.sagemaker.pipelines.jobs import managed_image
from local_aws.sagemaker.pipelines.jobs.catalog import JobCatalog
from local_aws.sagemaker.pipelines.jobs.contract import Jobs
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation
from local_aws.sagemaker.pipelines.jobs.operations import JobService
from local_aws.sagemaker.pipelines.jobs.runner import JobRunner
from local_aws.sagemaker.pipelines.step_cache import StepCache
from local_aws.sagemaker.pipelines.step_types import ExecutionIdentity, StepRunner
from local_aws.sagemaker.service_roles import ServiceRoles

log = logging.getLogger(__name__)

_PAGE_SIZE = 100


class PipelineService:
    """Executes pipelines; `operations` are its handlers by operation name.

    Args:
        client: returns boto3 clients of the emulator, for its own work.
        roles: acts as the roles of executions and jobs.
        folder: takes the jobs' folders.
        emit: receives the events.
        faults: which jobs fail, and how.
        isolation: how jobs are isolated.
        max_jobs: how many jobs run concurrently.
        grace_seconds: the time between SIGTERM and SIGKILL for a stopped job.
    """

    def __init__(
        self,
        *,
        client: Callable[[str], Any],
        roles: ServiceRoles,
        folder: Path,
        emit: EmitEvent,
        region: str,
        account: str,
        images: ImageMap,
        faults: FaultPlan | None = None,
        isolation: Isolation | None = None,
        max_jobs: int | None = None,
        grace_seconds: float = 10.0,
    ) -> None:
        self._client, self._region, self._account = client, region, account
        self._lock = threading.Lock()
        self._executions: dict[str, Execution] = {}
        self._tokens: dict[str, tuple[str, str]] = {}
        self._closed = False
        self._events = PipelineEvents(emit)
        isolation = isolation or Isolation()
        for line in isolation.notes(images.environment(managed_image.SAMPLE), network=True):
            log.warning("jobs of %s: %s", managed_image.PATTERN, line)
        machine = JobRunner(
            folder=folder,
            region=region,
            account=account,
            roles=roles,
            images=images,
            isolation=isolation,
            slots=threading.BoundedSemaphore(max_jobs or max(2, os.cpu_count() or 1)),
            grace_seconds=grace_seconds,
            faults=faults or FaultPlan(),
        )
        jobs, catalog = Jobs(machine), JobCatalog(region, account)
        self._cache = StepCache()
        self._steps = StepRunner(jobs, self._cache, catalog)
        self._jobs = JobService(jobs, catalog, emit=emit, page=_page)
        self.operations: Mapping[str, OperationHandler] = {
            "CreatePipeline": self._validate_pipeline,
            "UpdatePipeline": self._validate_pipeline,
            "StartPipelineExecution": self._start,
            "StopPipelineExecution": self._stop,
            "RetryPipelineExecution": self._retry,
            "UpdatePipelineExecution": self._update,
            "DescribePipelineExecution": lambda r: names.wire(self._find(r).describe()),
            "DescribePipelineDefinitionForExecution": self._describe_definition,
            "ListPipelineExecutions": self._list,
            "ListPipelineExecutionSteps": self._list_steps,
            "ListPipelineParametersForExecution": self._list_parameters,
            **self._jobs.operations,
        }

    def close(self) -> None:
        """Ends every execution and every process of its jobs; refuses new ones."""
        with self._lock:
            self._closed = True
            executions = list(self._executions.values())
        threads = [threading.Thread(target=execution.end, args=(60.0,), daemon=True) for execution in executions]
        for thread in threads:
            thread.start()
        self._jobs.close()
        for thread in threads:
            thread.join()
        self._events.close()

    @property
    def idle(self) -> bool:
        """Whether no execution is under way."""
        with self._lock:
            return all(execution.ended for execution in self._executions.values())

    def forget(self, *, cached_step: str = "") -> None:
        """Forgets ended executions and request tokens; cached results stay, except those of a step if one is named."""
        with self._lock:
            self._executions = {arn: each for arn, each in self._executions.items() if not each.ended}
            self._tokens.clear()
        if cached_step:
            self._cache.remove(cached_step)

    def wait(self, arn: str, timeout: float) -> str:
        """The status of an execution after its end, or after `timeout` seconds."""
        execution = self._find({"PipelineExecutionArn": arn})
        execution.wait(timeout)
        return execution.status

    def _validate_pipeline(self, request: dict[str, Any]) -> dict[str, Any]:
        text = request.get("PipelineDefinition")
        if text is None and (location := request.get("PipelineDefinitionS3Location")):
            extra = {"VersionId": location["VersionId"]} if location.get("VersionId") else {}
            stored = self._client("s3").get_object(Bucket=location["Bucket"], Key=location["ObjectKey"], **extra)
            text = stored["Body"].read().decode("utf-8")
        if text is not None:
            definition.parse(text)
        raise NotHandled

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("SelectiveExecutionConfig"):
            raise AwsError("ValidationException", "SelectiveExecutionConfig is not supported by the AWS emulator.")
        name = request["PipelineName"].rpartition("/")[2]
        given: Sequence[Mapping[str, str]] = request.get("PipelineParameters") or []

        def create() -> str:
            pipeline = self._pipeline(name)
            text = pipeline["PipelineDefinition"]
            parsed = definition.parse(text)
            values = parameters.assign(parsed.parameters, given)
            parallelism = request.get("ParallelismConfiguration") or pipeline.get("ParallelismConfiguration") or {}
            execution_id = names.derived_identifier(request.get("ClientRequestToken") or "", 12)
            arn = f"{pipeline['PipelineArn']}/execution/{execution_id}"
            if arn in self._executions:
                raise AwsError("ConflictException", f"Pipeline execution with ARN {arn} exists already.")
            role = request.get("RoleArn") or pipeline["RoleArn"]
            execution = Execution(
                ExecutionIdentity(execution_id, arn, name, pipeline["PipelineArn"], role),
                definition=parsed,
                text=text,
                values=values,
                steps=self._steps,
                events=self._events,
                display_name=request.get("PipelineExecutionDisplayName") or f"execution-{int(time.time() * 1000)}",
                description=request.get("PipelineExecutionDescription") or "",
                parallel=parallelism.get("MaxParallelExecutionSteps"),
                role=role,
            )
            self._executions[arn] = execution
            execution.start()
            return arn

        return {"PipelineExecutionArn": self._once("start", {**request, "PipelineName": name}, create)}

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request)

        def stop() -> str:
            execution.stop()
            return execution.identity.arn

        return {"PipelineExecutionArn": self._once("stop", request, stop)}

    def _retry(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request)
        parallel = (request.get("ParallelismConfiguration") or {}).get("MaxParallelExecutionSteps")

        def retry() -> str:
            execution.retry(parallel)
            return execution.identity.arn

        return {"PipelineExecutionArn": self._once("retry", request, retry)}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request)
        execution.display_name = request.get("PipelineExecutionDisplayName") or execution.display_name
        execution.description = request.get("PipelineExecutionDescription", execution.description)
        return {"PipelineExecutionArn": execution.identity.arn}

    def _once(self, verb: str, request: Mapping[str, Any], action: Callable[[], str]) -> str:
        """Runs `action` once per ClientRequestToken; refuses a token that was used with another request."""
        token = request.get("ClientRequestToken")
        parameters_json = json.dumps(
            {k: v for k, v in request.items() if k != "ClientRequestToken"}, sort_keys=True, default=str
        )
        with self._lock:
            if self._closed:
                raise AwsError("ServiceUnavailable", "The AWS emulator is stopping.", 503)
            key = f"{verb}:{token}"
            if token and key in self._tokens:
                previous, arn = self._tokens[key]
                if previous != parameters_json:
                    raise AwsError(
                        "ValidationException",
                        f"The ClientRequestToken {token} was used before with other parameters (for {arn}).",
                    )
                return arn
            arn = action()
            if token:
                self._tokens[key] = (parameters_json, arn)
            return arn

    def _pipeline(self, name: str) -> Mapping[str, Any]:
        try:
            pipeline: Mapping[str, Any] = self._client("sagemaker").describe_pipeline(PipelineName=name)
        except ClientError as error:
            raise AwsError("ResourceNotFound", f"Pipeline '{name}' does not exist.") from error
        return pipeline

    def _find(self, request: Mapping[str, Any]) -> Execution:
        arn = request.get("PipelineExecutionArn") or ""
        execution = self._executions.get(arn)
        if execution is None:
            raise AwsError("ResourceNotFound", f"Pipeline execution with ARN {arn} does not exist.")
        return execution

    def _describe_definition(self, request: dict[str, Any]) -> dict[str, Any]:
        execution = self._find(request)
        return {"PipelineDefinition": execution.text, "CreationTime": names.wire(execution.created)}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["PipelineName"].rpartition("/")[2]
        after, before = (names.parse_time(request.get(key)) for key in ("CreatedAfter", "CreatedBefore"))
        with self._lock:
            executions = list(self._executions.values())
        found = [e for e in executions if e.identity.pipeline_name == name]
        if not found:
            self._pipeline(name)
        found = [e for e in found if e.created_between(after, before)]
        if request.get("SortBy") == "PipelineExecutionArn":
            found.sort(key=lambda e: e.identity.arn)
        if request.get("SortOrder", "Descending") == "Descending":
            found.reverse()
        return _page("PipelineExecutionSummaries", [e.summary() for e in found], request)

    def _list_steps(self, request: dict[str, Any]) -> dict[str, Any]:
        steps = self._find(request).list_steps()
        if request.get("SortOrder", "Descending") == "Descending":
            steps.reverse()
        return _page("PipelineExecutionSteps", steps, request)

    def _list_parameters(self, request: dict[str, Any]) -> dict[str, Any]:
        values = self._find(request).values
        return _page("PipelineParameters", [{"Name": k, "Value": names.text(v)} for k, v in values.items()], request)


def _page(member: str, items: Sequence[Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a List call; the token encodes the position of the next page."""
    token, size = request.get("NextToken"), int(request.get("MaxResults") or _PAGE_SIZE)
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        raise AwsError("ValidationException", f"Invalid NextToken: {token}") from error
    page: dict[str, Any] = {member: names.wire(list(items[start : start + size]))}
    if start + size < len(items):
        page["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return page
