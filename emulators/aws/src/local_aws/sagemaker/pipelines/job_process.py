"""One job as a process: its folder made, its command run and followed, its end told in SageMaker's words."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from local_aws.sagemaker.pipelines import names, process_group
from local_aws.sagemaker.pipelines.image_commands import ImageMap
from local_aws.sagemaker.pipelines.isolation import Isolation, Space
from local_aws.sagemaker.pipelines.job_logs import LogFollower
from local_aws.sagemaker.pipelines.job_storage import ClientFault, Item, Storage
from local_aws.sagemaker.pipelines.process_group import Ending
from local_aws.sagemaker.pipelines.retry_policies import JobInternalError

DAY = 24 * 3600
_REASON_CHARS, MESSAGE_BYTES = 1024, 1024


class JobFailed(Exception):
    """A job ran and failed; the message is its FailureReason."""


class JobStopped(Exception):
    """A job was stopped because its execution was."""


@dataclass(frozen=True)
class Order:
    """One job to run: `described` is kept as its Describe call would show it, `created` is told when it exists."""

    execution: str
    name: str
    arn: str
    arguments: Mapping[str, Any]
    described: dict[str, Any]
    stop: threading.Event
    created: Callable[[], None]


@dataclass(frozen=True)
class Machine:
    """What jobs run with. `environment` is what lets boto3 in a job reach the same cloud as its caller."""

    folder: Path
    region: str
    account: str
    storage: Storage
    client: Callable[[str], Any]
    images: ImageMap
    isolation: Isolation
    environment: Mapping[str, str]
    slots: threading.BoundedSemaphore
    grace_seconds: float

    def space(
        self,
        order: Order,
        configs: Mapping[str, Any],
        inputs: Sequence[tuple[str, list[Item]]],
    ) -> Space:
        """A job's folder with its configuration written and its inputs fetched.

        Raises:
            ClientFault: an input cannot be laid out.
            JobInternalError: the machine is at fault.
        """
        try:
            space = self.isolation.space(self.folder / order.execution / order.name)
            (space.ml / "output").mkdir(parents=True, exist_ok=True)
            for path, content in configs.items():
                target = space.ml / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(json.dumps(content, default=str))
            for local, items in inputs:
                target = space.host(local)
                target.mkdir(parents=True, exist_ok=True)
                self.storage.fetch(items, target)
                space.adopt(target)
        except OSError as error:
            raise JobInternalError(f"InternalServerError: {error}") from error
        return space

    def run(self, order: Order, space: Space, words: Sequence[str], own: Mapping[str, str], group: str) -> None:
        """Runs the job's command when the machine has room for it.

        Raises:
            JobFailed: it ended with another code than 0, or took too long.
            JobStopped: `stop` was set.
        """
        limit = (order.arguments.get("StoppingCondition") or {}).get("MaxRuntimeInSeconds") or DAY
        reach = {**self.environment, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        env = space.environment({**reach, **{key: names.text(value) for key, value in own.items()}})
        stream = f"{order.name}/algo-1-{int(names.now().timestamp())}"
        while not self.slots.acquire(timeout=0.2):
            if order.stop.is_set():
                raise JobStopped
        try:
            if order.stop.is_set():
                raise JobStopped
            with LogFollower(self.client("logs"), space.log, group, stream):
                ended = process_group.run(
                    space.command([names.text(word) for word in words]),
                    env=env,
                    cwd=space.ml,
                    log=space.log,
                    stop=order.stop,
                    limit_seconds=limit,
                    grace_seconds=self.grace_seconds,
                )
        except FileNotFoundError as error:
            raise JobFailed(f"AlgorithmError: {error.filename}: not found, exit code: 127") from error
        except OSError as error:
            raise JobInternalError(f"InternalServerError: {error}") from error
        finally:
            self.slots.release()
        if ended.how is Ending.STOPPED:
            raise JobStopped
        if ended.how is Ending.TIMED_OUT:
            raise JobFailed(f"MaxRuntimeExceeded: the job ran longer than MaxRuntimeInSeconds ({limit})")
        if ended.code:
            code = ended.code if ended.code > 0 else 128 - ended.code
            output = space.ml / "output"
            reason = text_of(output / "failure", _REASON_CHARS * 4) or text_of(output / "message", MESSAGE_BYTES)
            reason = reason or "See job logs for more information"
            raise JobFailed(f"AlgorithmError: {reason[: _REASON_CHARS - 40]}, exit code: {code}")


class ended:  # noqa: N801 - reads as a statement: with ended(description, ...)
    """Puts how a job ended into its description."""

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
            secondary(described, detail)
            started: datetime | None = described.get("TrainingStartTime")
            if started:
                seconds = max(1, round((moment - started).total_seconds()))
                described["TrainingTimeInSeconds"] = described["BillableTimeInSeconds"] = seconds


def failure_reason(error: BaseException) -> str:
    """A job's FailureReason for what went wrong, in SageMaker's form."""
    if isinstance(error, JobFailed | JobInternalError):
        return str(error)[:_REASON_CHARS]
    if isinstance(error, ClientFault):
        return f"ClientError: {error}"[:_REASON_CHARS]
    return f"InternalServerError: {error}"[:_REASON_CHARS]


def secondary(description: dict[str, Any], status: str) -> None:
    """Moves a training job to its next secondary status."""
    moment = names.now()
    transitions: list[dict[str, Any]] = description["SecondaryStatusTransitions"]
    if transitions:
        transitions[-1]["EndTime"] = moment
    transitions.append({"Status": status, "StartTime": moment})
    description["SecondaryStatus"], description["LastModifiedTime"] = status, moment


def text_of(path: Path, limit: int) -> str:
    """What a job left in a file, at most `limit` bytes."""
    try:
        with path.open("rb") as source:
            return source.read(limit).decode("utf-8", "replace").strip()
    except OSError:
        return ""
