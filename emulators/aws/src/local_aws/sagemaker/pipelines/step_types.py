"""Runs one step of an execution, by its type: jobs, conditions, model registration, failure."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.errors import AwsError
from local_aws.sagemaker.pipelines import argument_validation, conditions, names, retry_policies
from local_aws.sagemaker.pipelines.definition import Step
from local_aws.sagemaker.pipelines.jobs import runner as job_runner
from local_aws.sagemaker.pipelines.jobs.catalog import JobCatalog
from local_aws.sagemaker.pipelines.jobs.contract import Jobs
from local_aws.sagemaker.pipelines.jobs.storage import ClientFault, CreateFault
from local_aws.sagemaker.pipelines.step_cache import CacheEntry, StepCache
from local_aws.sagemaker.pipelines.value_resolution import Scope

REASON_CHARS = 1024
_OPERATIONS = {
    "Processing": "CreateProcessingJob",
    "Training": "CreateTrainingJob",
    "RegisterModel": "CreateModelPackage",
    "Model": "CreateModel",
}


class StepFailed(Exception):
    """A step failed; the message is its FailureReason."""


@dataclass
class StepRecord:
    """The state of one step of an execution. Guarded by the execution's lock, except members set by a running job."""

    step: Step
    status: str
    started: datetime
    ended: datetime | None = None
    failure: str = ""
    attempts: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    outcome: bool | None = None  # of a condition
    cached_from: str = ""  # the execution that produced the result

    def describe(self) -> dict[str, Any]:
        """The entry in the response of ListPipelineExecutionSteps."""
        shown: dict[str, Any] = {
            "StepName": self.step.name,
            "StepDisplayName": self.step.display_name,
            "StartTime": self.started,
            "StepStatus": self.status,
            "Metadata": dict(self.metadata),
            "AttemptCount": self.attempts,
        }
        if self.step.description:
            shown["StepDescription"] = self.step.description
        if self.ended:
            shown["EndTime"] = self.ended
        if self.failure:
            shown["FailureReason"] = self.failure
        if self.cached_from:
            shown["CacheHitResult"] = {"SourcePipelineExecutionArn": self.cached_from}
        return shown


@dataclass(frozen=True)
class ExecutionIdentity:
    """Ids and ARNs of an execution and its pipeline; `role` is the ARN of the role that the execution acts as."""

    id: str
    arn: str
    pipeline_name: str
    pipeline_arn: str
    role: str


@dataclass(frozen=True)
class StepRunner:
    """Runs steps, for all executions."""

    jobs: Jobs
    cache: StepCache
    catalog: JobCatalog

    def run(self, identity: ExecutionIdentity, record: StepRecord, scope: Scope, stop: threading.Event) -> None:
        """Runs the step with retries, and stores its properties and metadata in `record`.

        Raises:
            StepFailed: with the step's FailureReason.
            JobStopped: `stop` was set while its job ran.
        """

        def count() -> None:
            record.attempts += 1

        def run_once() -> None:
            self._run_once(identity, record, scope, stop)

        with _as_failure(identity, record.step):
            retry_policies.attempt(run_once, record.step.retry_policies, stop, count)

    def _run_once(self, identity: ExecutionIdentity, record: StepRecord, scope: Scope, stop: threading.Event) -> None:
        step = record.step
        if step.type == "Condition":
            record.outcome = all(conditions.holds(scope.resolve(item)) for item in step.arguments["Conditions"])
            record.properties = {"Outcome": record.outcome}
            record.metadata["Condition"] = {"Outcome": str(record.outcome)}
        elif step.type == "Fail":
            message = names.text(scope.resolve(step.arguments["ErrorMessage"]))
            record.metadata["Fail"] = {"ErrorMessage": message}
            raise StepFailed(message[:REASON_CHARS])
        elif step.type in ("Processing", "Training"):
            self._run_job(identity, record, scope, stop)
        else:
            arguments = scope.resolve(step.arguments)
            self._check_model_data(identity, arguments)
            create = self._register_model if step.type == "RegisterModel" else self._create_model
            create(identity, record, arguments)

    def _run_job(self, identity: ExecutionIdentity, record: StepRecord, scope: Scope, stop: threading.Event) -> None:
        step = record.step
        named = step.arguments.get(f"{step.type}JobName")
        prefix = names.text(scope.resolve(named)) if named else "pipelines"
        name = names.job_name(identity.id, step.name, prefix)
        job_scope = replace(scope, variables={**scope.variables, f"{step.type}JobName": name})
        arguments = {k: v for k, v in job_scope.resolve(step.arguments).items() if k != f"{step.type}JobName"}
        _check_request(step.type, arguments)
        key = StepCache.key(identity.pipeline_name, step.name, step.type, arguments) if step.cached_for else ""
        if step.cached_for and (hit := self.cache.find(key, step.cached_for, names.now())):
            record.properties, record.metadata = dict(hit.properties), dict(hit.metadata)
            record.cached_from, record.attempts = hit.execution_arn, 0
            return
        arn = self.catalog.arn("Processing" if step.type == "Processing" else "Training", name)
        description: dict[str, Any] = {}
        self._authorize_job(identity, step, name, arguments)

        def created() -> None:
            record.metadata[f"{step.type}Job"] = {"Arn": arn}
            self.catalog.add(arn, description)

        run = self.jobs.processing if step.type == "Processing" else self.jobs.training
        run(job_runner.JobRequest(identity.id, name, arn, arguments, description, stop, created))
        record.properties = dict(description)
        if step.cached_for:
            self.cache.store(key, CacheEntry(identity.arn, names.now(), dict(record.properties), dict(record.metadata)))

    def _authorize_job(self, identity: ExecutionIdentity, step: Step, name: str, arguments: Mapping[str, Any]) -> None:
        """Pipelines creates a job with tags of its own and watches it, both as the execution's role.

        Source of the tags: SageMaker Developer Guide, "Tag a pipeline"; they need sagemaker:AddTags ("IAM access
        management" of Pipelines).
        """
        tags = [
            {"Key": "sagemaker:pipeline-execution-arn", "Value": identity.arn},
            {"Key": "sagemaker:pipeline-name", "Value": identity.pipeline_name},
            {"Key": "sagemaker:pipeline-step-name", "Value": step.name},
        ]
        job_name = {f"{step.type}JobName": name}
        roles = self.jobs.runner.roles
        tagged = {**arguments, **job_name, "Tags": [*(arguments.get("Tags") or []), *tags]}
        roles.authorize(identity.role, f"sagemaker:{_OPERATIONS[step.type]}", tagged)
        roles.authorize(identity.role, f"sagemaker:Describe{step.type}Job", job_name)

    def _register_model(self, identity: ExecutionIdentity, record: StepRecord, arguments: dict[str, Any]) -> None:
        sagemaker = self.jobs.runner.roles.client(identity.role, "sagemaker")
        if group := arguments.get("ModelPackageGroupName"):
            # Pipelines creates a missing group.
            try:
                sagemaker.describe_model_package_group(ModelPackageGroupName=group)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                    raise
                sagemaker.create_model_package_group(ModelPackageGroupName=group)
        # One token for all attempts, so that a retry does not register twice.
        token = hashlib.sha256(f"{identity.arn}/{record.step.name}".encode()).hexdigest()[:36]
        arn = sagemaker.create_model_package(**{"ClientToken": token, **arguments})["ModelPackageArn"]
        record.metadata["RegisterModel"] = {"Arn": arn}
        described = sagemaker.describe_model_package(ModelPackageName=arn)
        record.properties = _members(described, "DescribeModelPackage")

    def _create_model(self, identity: ExecutionIdentity, record: StepRecord, arguments: dict[str, Any]) -> None:
        sagemaker = self.jobs.runner.roles.client(identity.role, "sagemaker")
        prefix = names.text(arguments.pop("ModelName", "pipelines"))
        name = names.job_name(identity.id, record.step.name, prefix)
        created = sagemaker.create_model(ModelName=name, **arguments)
        record.metadata["Model"] = {"Arn": created["ModelArn"]}
        record.properties = _members(sagemaker.describe_model(ModelName=name), "DescribeModel")

    def _check_model_data(self, identity: ExecutionIdentity, arguments: Mapping[str, Any]) -> None:
        inference = arguments.get("InferenceSpecification") or {}
        primary = [arguments["PrimaryContainer"]] if arguments.get("PrimaryContainer") else []
        for container in [*inference.get("Containers", []), *arguments.get("Containers", []), *primary]:
            uri = container.get("ModelDataUrl")
            if uri and not self.jobs.runner.storage(identity.role).exists(uri):
                raise CreateFault(f"Could not find model data at {uri}.")


def _check_request(step_type: str, arguments: Mapping[str, Any]) -> None:
    try:
        argument_validation.check_request(step_type, arguments)
    except AwsError as error:
        details = {"Error": {"Code": error.code, "Message": error.message}}
        raise ClientError(details, _OPERATIONS[step_type]) from error  # type: ignore[arg-type] # a partial response


def _members(response: Mapping[str, Any], operation: str) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name in argument_validation.response_members(operation)}


@contextmanager
def _as_failure(identity: ExecutionIdentity, step: Step) -> Iterator[None]:
    """Converts any error to StepFailed with the FailureReason in the format of Pipelines."""
    operation = _OPERATIONS.get(step.type, step.type)
    try:
        yield
    except (StepFailed, job_runner.JobStopped):
        raise
    except (CreateFault, AwsError) as error:
        reason = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {error}"
        raise StepFailed(_truncate(reason)) from error
    except ClientError as error:
        details = error.response.get("Error", {})
        reason = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {details.get('Message', error)}"
        if name := retry_policies.kind(error):
            policy = name.upper().replace(".", "_").removeprefix("STEP_")
            reason += (
                f"\nRetry not appropriate on execution of step with PipelineExecutionArn {identity.arn} and StepId "
                f"{step.name}. No retry policy configured for the exception type {policy}."
            )
        raise StepFailed(_truncate(reason)) from error
    except (job_runner.JobFailed, retry_policies.JobInternalError, ClientFault, conditions.ConditionError) as error:
        # Pipelines prefixes the job's reason with ClientError, even if it is one already.
        reason = str(error) if isinstance(error, conditions.ConditionError) else job_runner.failure_reason(error)
        raise StepFailed(_truncate(f"ClientError: {reason}")) from error
    except BotoCoreError as error:
        raise StepFailed(_truncate(f"InternalServerError: {error}")) from error


def _truncate(reason: str) -> str:
    return reason[:REASON_CHARS]
