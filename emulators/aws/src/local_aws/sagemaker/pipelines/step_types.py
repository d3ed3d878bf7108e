"""What each type of step does when its turn comes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.sagemaker.pipelines import argument_validation, conditions, job_process, names, retry_policies
from local_aws.sagemaker.pipelines.definition import Step
from local_aws.sagemaker.pipelines.job_contract import Jobs
from local_aws.sagemaker.pipelines.job_storage import ClientFault, CreateFault
from local_aws.sagemaker.pipelines.step_cache import Cache, Entry
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
class Record:
    """What is known of one step of an execution. Guarded by the execution's lock, but for a running job's members."""

    step: Step
    status: str
    started: datetime
    ended: datetime | None = None
    failure: str = ""
    attempts: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    outcome: bool | None = None  # of a condition
    cached_from: str = ""  # the execution whose result this is

    def describe(self) -> dict[str, Any]:
        """The step as ListPipelineExecutionSteps shows it."""
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
class Identity:
    """The names of an execution."""

    id: str
    arn: str
    pipeline_name: str
    pipeline_arn: str


@dataclass(frozen=True)
class Steps:
    """Runs steps; one for all executions. `publish` is told of every job, so that it can be described."""

    jobs: Jobs
    client: Callable[[str], Any]
    cache: Cache
    publish: Callable[[str, dict[str, Any]], None]

    def run(self, identity: Identity, record: Record, scope: Scope, stop: threading.Event) -> None:
        """Does what the step is for, and leaves its properties and metadata in `record`.

        Raises:
            StepFailed: with the reason that the step shall have.
            JobStopped: `stop` was set while its job ran.
        """

        def count() -> None:
            record.attempts += 1

        def once() -> None:
            self._once(identity, record, scope, stop)

        with _as_failure(identity, record.step):
            retry_policies.attempt(once, record.step.retries, stop, count)

    def _once(self, identity: Identity, record: Record, scope: Scope, stop: threading.Event) -> None:
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
            self._job(identity, record, scope, stop)
        else:
            arguments = scope.resolve(step.arguments)
            self._model_data_exists(arguments)
            (self._register if step.type == "RegisterModel" else self._model)(identity, record, arguments)

    def _job(self, identity: Identity, record: Record, scope: Scope, stop: threading.Event) -> None:
        step = record.step
        named = step.arguments.get(f"{step.type}JobName")
        prefix = names.text(scope.resolve(named)) if named else "pipelines"
        name = names.job_name(identity.id, step.name, prefix)
        own = replace(scope, variables={**scope.variables, f"{step.type}JobName": name})
        arguments = {k: v for k, v in own.resolve(step.arguments).items() if k != f"{step.type}JobName"}
        key = Cache.key(identity.pipeline_name, step.name, step.type, arguments) if step.cached_for else ""
        if step.cached_for and (hit := self.cache.find(key, step.cached_for, names.now())):
            record.properties, record.metadata = dict(hit.properties), dict(hit.metadata)
            record.cached_from, record.attempts = hit.execution_arn, 0
            return
        kind = step.type.lower()
        arn = f"arn:aws:sagemaker:{self.jobs.machine.region}:{self.jobs.machine.account}:{kind}-job/{name}"
        described: dict[str, Any] = {}

        def created() -> None:
            record.metadata[f"{step.type}Job"] = {"Arn": arn}
            self.publish(name, described)

        run = self.jobs.processing if step.type == "Processing" else self.jobs.training
        run(job_process.Order(identity.id, name, arn, arguments, described, stop, created))
        record.properties = dict(described)
        if step.cached_for:
            self.cache.store(key, Entry(identity.arn, names.now(), dict(record.properties), dict(record.metadata)))

    def _register(self, identity: Identity, record: Record, arguments: dict[str, Any]) -> None:
        sagemaker = self.client("sagemaker")
        if group := arguments.get("ModelPackageGroupName"):
            # A pipeline that registers into a group that is not there makes it.
            try:
                sagemaker.describe_model_package_group(ModelPackageGroupName=group)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
                    raise
                sagemaker.create_model_package_group(ModelPackageGroupName=group)
        # One token for all attempts: a retry after a fault does not register twice.
        token = hashlib.sha256(f"{identity.arn}/{record.step.name}".encode()).hexdigest()[:36]
        arn = sagemaker.create_model_package(**{"ClientToken": token, **arguments})["ModelPackageArn"]
        record.metadata["RegisterModel"] = {"Arn": arn}
        described = sagemaker.describe_model_package(ModelPackageName=arn)
        record.properties = _members(described, "DescribeModelPackage")

    def _model(self, identity: Identity, record: Record, arguments: dict[str, Any]) -> None:
        sagemaker = self.client("sagemaker")
        prefix = names.text(arguments.pop("ModelName", "pipelines"))
        name = names.job_name(identity.id, record.step.name, prefix)
        created = sagemaker.create_model(ModelName=name, **arguments)
        record.metadata["Model"] = {"Arn": created["ModelArn"]}
        record.properties = _members(sagemaker.describe_model(ModelName=name), "DescribeModel")

    def _model_data_exists(self, arguments: Mapping[str, Any]) -> None:
        inference = arguments.get("InferenceSpecification") or {}
        primary = [arguments["PrimaryContainer"]] if arguments.get("PrimaryContainer") else []
        for container in [*inference.get("Containers", []), *arguments.get("Containers", []), *primary]:
            uri = container.get("ModelDataUrl")
            if uri and not self.jobs.machine.storage.exists(uri):
                raise CreateFault(f"Could not find model data at {uri}.")


def _members(response: Mapping[str, Any], operation: str) -> dict[str, Any]:
    return {name: value for name, value in response.items() if name in argument_validation.known(operation)}


@contextmanager
def _as_failure(identity: Identity, step: Step) -> Iterator[None]:
    """Turns whatever went wrong into the step's FailureReason, in the form that Pipelines gives it."""
    operation = _OPERATIONS.get(step.type, step.type)
    try:
        yield
    except (StepFailed, job_process.JobStopped):
        raise
    except CreateFault as error:
        reason = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {error}"
        raise StepFailed(_limited(reason)) from error
    except ClientError as error:
        details = error.response.get("Error", {})
        reason = f"ClientError: Failed to invoke sagemaker:{operation}. Error Details: {details.get('Message', error)}"
        if name := retry_policies.kind(error):
            policy = name.upper().replace(".", "_").removeprefix("STEP_")
            reason += (
                f"\nRetry not appropriate on execution of step with PipelineExecutionArn {identity.arn} and StepId "
                f"{step.name}. No retry policy configured for the exception type {policy}."
            )
        raise StepFailed(_limited(reason)) from error
    except (job_process.JobFailed, retry_policies.JobInternalError, ClientFault, conditions.ConditionError) as error:
        # Pipelines puts its own ClientError before the job's reason, also where that is a ClientError.
        own = str(error) if isinstance(error, conditions.ConditionError) else job_process.failure_reason(error)
        raise StepFailed(_limited(f"ClientError: {own}")) from error
    except BotoCoreError as error:
        raise StepFailed(_limited(f"InternalServerError: {error}")) from error


def _limited(reason: str) -> str:
    return reason[:REASON_CHARS]
