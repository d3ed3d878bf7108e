"""Runs one job as a process: prepares its folder, runs its command, and reports its end in SageMaker's terms."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from local_aws.errors import AwsError
from local_aws.faults import FaultPlan
from local_aws.processes import command_runner
from local_aws.processes.command_runner import EndReason
from local_aws.sagemaker.pipelines import names
from local_aws.sagemaker.pipelines.jobs import spark_image
from local_aws.sagemaker.pipelines.jobs.image_commands import ImageMap
from local_aws.sagemaker.pipelines.jobs.isolation import Isolation, JobSpace
from local_aws.sagemaker.pipelines.jobs.logs import LogFollower
from local_aws.sagemaker.pipelines.jobs.storage import ClientFault, Item, Storage
from local_aws.sagemaker.pipelines.retry_policies import JobInternalError
from local_aws.sagemaker.service_roles import KeyUse, ServiceRoles

DEFAULT_LIMIT_SECONDS = 24 * 3600
FIRST_HOST = "algo-1"
_REASON_CHARS, MESSAGE_BYTES = 1024, 1024
_FAULT_REASONS = {
    "out_of_memory": "AlgorithmError: See job logs for more information, exit code: 137",
    "spot_interruption": "InternalServerError: We encountered an internal error. Please try again.",
}
"""The reasons of jobs that a fault rule ends."""


class JobFailed(Exception):
    """A job ran and failed; the message is its FailureReason."""


class JobStopped(Exception):
    """A job was stopped."""


@dataclass(frozen=True)
class JobRequest:
    """One job to run. The response of its Describe call is kept in `described`; `created` is called once it exists."""

    execution: str
    name: str
    arn: str
    arguments: Mapping[str, Any]
    described: dict[str, Any]
    stop: threading.Event
    created: Callable[[], None]

    @property
    def role(self) -> str:
        """The ARN of the job's role."""
        return str(self.arguments["RoleArn"])

    @property
    def image(self) -> str:
        """The job's container image."""
        app = self.arguments.get("AppSpecification") or {}
        return str(app.get("ImageUri") or (self.arguments.get("AlgorithmSpecification") or {}).get("TrainingImage"))

    @property
    def keys(self) -> dict[KeyUse, str]:
        """The KMS keys of the job's volume and output, where it names them."""
        arguments = self.arguments
        cluster = arguments.get("ResourceConfig") or (arguments.get("ProcessingResources") or {}).get("ClusterConfig")
        output = arguments.get("OutputDataConfig") or arguments.get("ProcessingOutputConfig")
        named: dict[KeyUse, Any] = {
            "volume": (cluster or {}).get("VolumeKmsKeyId"), "output": (output or {}).get("KmsKeyId")
        }  # fmt: skip
        return {use: str(key) for use, key in named.items() if key}

    @property
    def network(self) -> bool:
        """Whether the job has a network; EnableNetworkIsolation takes it away."""
        isolated = (self.arguments.get("NetworkConfig") or self.arguments).get("EnableNetworkIsolation")
        return not isolated


@dataclass(frozen=True)
class JobRunner:
    """Runs jobs, each with the credentials of its role and no others; `slots` limits the concurrent jobs."""

    folder: Path
    region: str
    account: str
    roles: ServiceRoles
    images: ImageMap
    isolation: Isolation
    slots: threading.BoundedSemaphore
    grace_seconds: float
    faults: FaultPlan

    def storage(self, role_arn: str, key: str = "") -> Storage:
        """S3 as the role; what it writes is encrypted with the KMS key, if one is given."""
        return Storage(lambda: self.roles.client(role_arn, "s3"), self.region, key=key)

    def authorize_keys(self, request: JobRequest) -> None:
        """Returns if the job's role may use the keys of its volume and of its output.

        The message is the emulator's: AWS documents the permissions of the role, not how a job without them fails.

        Raises:
            ClientFault: it may not.
        """
        for use, key in request.keys.items():
            try:
                self.roles.authorize_key(request.role, use, key)
            except AwsError as error:
                raise ClientFault(f"The KMS key of the {use} cannot be used: {error.message}") from error

    def prepare(
        self,
        request: JobRequest,
        configs: Mapping[str, Any],
        inputs: Sequence[tuple[str, list[Item]]],
        *,
        host: str = FIRST_HOST,
    ) -> JobSpace:
        """Creates an instance's folder, writes its configuration and fetches its inputs.

        Raises:
            ClientFault: the inputs cannot be written to their paths, or the role may not read them or use a key.
            JobInternalError: an operating system error.
        """
        self.authorize_keys(request)
        try:
            image = self.images.environment(request.image)
            name = request.name if host == FIRST_HOST else f"{request.name}.{host}"
            space = self.isolation.create_space(self.folder / request.execution / name, image)
            if spark_image.matches(request.image):
                spark_image.add_command(
                    space.venv / "bin/python", space.relocated("/opt/ml/config/resourceconfig.json")
                )
            notes = self.isolation.notes(image, network=request.network)
            space.log.write_text("".join(f"local-aws: {note}\n" for note in notes), "utf-8")
            (space.ml / "output").mkdir(parents=True, exist_ok=True)
            for path, content in configs.items():
                target = space.ml / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(content, default=str))
            for local, items in inputs:
                target = space.host(local)
                target.mkdir(parents=True, exist_ok=True)
                self.storage(request.role).fetch(items, target)
                space.relocate_scripts(target)
        except OSError as error:
            raise JobInternalError(f"InternalServerError: {error}") from error
        return space

    def run(
        self,
        request: JobRequest,
        space: JobSpace,
        words: Sequence[str],
        own: Mapping[str, str],
        group: str,
        *,
        host: str = FIRST_HOST,
    ) -> None:
        """Waits for a free slot and runs the job's command.

        Raises:
            JobFailed: its exit code is not 0, or it exceeded its time limit.
            JobStopped: `stop` was set.
        """
        if rule := self.faults.take("job", request.name):
            raise JobFailed(_FAULT_REASONS[rule.fault])
        limit = (request.arguments.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds") or DEFAULT_LIMIT_SECONDS
        base = {**self.roles.environment(request.role), "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        env = space.environment({**base, **{key: names.text(value) for key, value in own.items()}})
        stream = f"{request.name}/{host}-{int(names.now().timestamp())}"
        while not self.slots.acquire(timeout=0.2):
            if request.stop.is_set():
                raise JobStopped
        try:
            if request.stop.is_set():
                raise JobStopped
            with LogFollower(self.roles.client(request.role, "logs"), space.log, group, stream):
                result = command_runner.run(
                    space.command([names.text(word) for word in words], network=request.network),
                    env=env,
                    cwd=space.ml,
                    log=space.log,
                    stop=request.stop,
                    limit_seconds=limit,
                    grace_seconds=self.grace_seconds,
                )
        except FileNotFoundError as error:
            raise JobFailed(f"AlgorithmError: {error.filename}: not found, exit code: 127") from error
        except OSError as error:
            raise JobInternalError(f"InternalServerError: {error}") from error
        finally:
            self.slots.release()
        if result.reason is EndReason.STOPPED:
            raise JobStopped
        if result.reason is EndReason.TIMED_OUT:
            raise JobFailed(f"MaxRuntimeExceeded: the job ran longer than MaxRuntimeInSeconds ({limit})")
        if result.code:
            code = result.code if result.code > 0 else 128 - result.code
            output = space.ml / "output"
            reason = read_text(output / "failure", _REASON_CHARS * 4) or read_text(output / "message", MESSAGE_BYTES)
            reason = reason or "See job logs for more information"
            raise JobFailed(f"AlgorithmError: {reason[: _REASON_CHARS - 40]}, exit code: {code}")


class recorded_end:  # noqa: N801 - a context manager, named like a function
    """Records in a job's description how the job ended."""

    def __init__(self, description: dict[str, Any], kind: str) -> None:
        self._description, self._kind = description, kind

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        described, moment = self._description, names.now()
        status = "Completed" if error is None else "Stopped" if isinstance(error, JobStopped) else "Failed"
        detail = status
        if error is not None and status == "Failed":
            described["FailureReason"] = failure_reason(error)
            if str(error).startswith("MaxRuntimeExceeded"):
                status, detail = "Stopped", "MaxRuntimeExceeded"
        described[f"{self._kind}JobStatus"] = status
        described[f"{self._kind}EndTime"] = described["LastModifiedTime"] = moment
        if self._kind == "Training":
            set_secondary_status(described, detail)
            started: datetime | None = described.get("TrainingStartTime")
            if started:
                seconds = max(1, round((moment - started).total_seconds()))
                described["TrainingTimeInSeconds"] = described["BillableTimeInSeconds"] = seconds


def failure_reason(error: BaseException) -> str:
    """The FailureReason of a job that ended with `error`, in SageMaker's format."""
    if isinstance(error, JobFailed | JobInternalError):
        return str(error)[:_REASON_CHARS]
    if isinstance(error, ClientFault):
        return f"ClientError: {error}"[:_REASON_CHARS]
    return f"InternalServerError: {error}"[:_REASON_CHARS]


def set_secondary_status(description: dict[str, Any], status: str) -> None:
    """Sets the secondary status of a training job and adds the transition."""
    moment = names.now()
    transitions: list[dict[str, Any]] = description["SecondaryStatusTransitions"]
    if transitions:
        transitions[-1]["EndTime"] = moment
    transitions.append({"Status": status, "StartTime": moment})
    description["SecondaryStatus"], description["LastModifiedTime"] = status, moment


def read_text(path: Path, limit: int) -> str:
    """The first `limit` bytes of a file as text; '' if it cannot be read."""
    try:
        with path.open("rb") as source:
            return source.read(limit).decode("utf-8", "replace").strip()
    except OSError:
        return ""
