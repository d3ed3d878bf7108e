"""Starts, follows, resumes and explains executions of the training pipeline.

An execution belongs to AWS and goes on whatever happens to whoever watches it, so everything here can be done again
from its ARN. Following outlives throttling, a network that comes and goes, and credentials that are renewed meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.aws import session
from ml.aws.pipeline.definition import NAME
from ml.aws.retry import REFUSED_SECONDS, Patience, passes
from ml.errors import CloudError

_SETTLED = {"Succeeded", "Failed", "Stopped", "CompletedWithFailures"}
_LABEL = "PipelineExecutionDisplayName"
_ARN = re.compile(r"arn:aws[\w-]*:sagemaker:[a-z0-9-]+:\d{12}:pipeline/[^/\s]+/execution/[A-Za-z0-9]+")
FIRST_POLL_SECONDS = 0.5
"""Between the first two polls of an execution; the pause then grows to 15 s."""
FIRST_RETRY_SECONDS = 1.0
"""Before the first retry of a failed call."""
_UNDER_WAY = {"Executing", "Stopping"}
_LOG_GROUPS = {"processing-job": "/aws/sagemaker/ProcessingJobs", "training-job": "/aws/sagemaker/TrainingJobs"}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of an execution as it stands."""

    name: str
    status: str
    started: datetime | None
    ended: datetime | None
    reason: str
    """Why it failed; '' if it did not."""
    job_arn: str
    """The processing or training job behind it; '' for steps without one."""
    package_arn: str
    """The model package that it registered; '' for other steps."""
    message: str
    """What a Fail step was told to say; '' for other steps."""
    cached: bool

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution as it stands: its steps in the order in which they began."""

    arn: str
    status: str
    reason: str
    modified: datetime
    steps: tuple[Step, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing will happen any more by itself."""
        return self.status in _SETTLED

    @property
    def package_arn(self) -> str:
        """The model package that it registered; '' if it registered none."""
        return next((step.package_arn for step in self.steps if step.package_arn), "")

    def step(self, name: str) -> Step | None:
        """The last run of the step called `name`; None if it has not begun."""
        return next((step for step in reversed(self.steps) if step.name == name), None)


def is_arn(text: str) -> bool:
    """Whether `text` has the form of an execution's ARN."""
    return _ARN.fullmatch(text) is not None


def start(parameters: Mapping[str, str], *, token: str, label: str) -> str:
    """Starts an execution and returns its ARN; the same `token` again returns the same execution.

    `label` is its display name, by which `find` knows it when SageMaker has forgotten the token.
    """
    with session.explained(f"starting pipeline {NAME}"):
        answer = session.client("sagemaker").start_pipeline_execution(
            PipelineName=NAME,
            PipelineExecutionDisplayName=label,
            PipelineParameters=[{"Name": name, "Value": value} for name, value in sorted(parameters.items())],
            ClientRequestToken=token,
        )
    return str(answer["PipelineExecutionArn"])


def find(label: str) -> str | None:
    """The ARN of the newest execution with that display name; None if there is none, or not even a pipeline."""
    return next((str(item["PipelineExecutionArn"]) for item in _listed() if item.get(_LABEL) == label), None)


def running() -> dict[str, str]:
    """The executions that have not settled: each one's display name by its ARN, newest first."""
    return {
        str(item["PipelineExecutionArn"]): str(item.get(_LABEL) or "")
        for item in _listed()
        if item.get("PipelineExecutionStatus") in _UNDER_WAY
    }


def parameters(arn: str) -> dict[str, str]:
    """What an execution was started with."""
    paginator = session.client("sagemaker").get_paginator("list_pipeline_parameters_for_execution")
    with session.explained(f"reading the parameters of execution {arn}"):
        return {
            str(item["Name"]): str(item["Value"])
            for page in paginator.paginate(PipelineExecutionArn=arn)
            for item in page["PipelineParameters"]
        }


def stop(arn: str, *, timeout_seconds: float) -> Execution:
    """Stops an execution with its jobs, waits until it has settled, and returns how it ended.

    One that settles by itself meanwhile is as good. What was done stays: a later retry goes on from there.

    Raises:
        TimeoutError: it has not settled after `timeout_seconds`.
    """
    try:
        with session.explained(f"stopping execution {arn}"):
            session.client("sagemaker").stop_pipeline_execution(PipelineExecutionArn=arn)
    except CloudError:
        if not describe(arn).settled:
            raise
    return follow(arn, lambda _: None, timeout_seconds=timeout_seconds)


def retry(arn: str, *, token: str) -> None:
    """Lets a failed or stopped execution go on from the step that failed; its ARN stays."""
    with session.explained(f"retrying execution {arn}"):
        session.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)


def describe(arn: str, *, attempts: int = session.ATTEMPTS) -> Execution:
    """The execution as it stands. Raises CloudError where there is none or AWS cannot be reached."""
    sagemaker = session.client("sagemaker", attempts=attempts)
    with session.explained(f"reading execution {arn}"):
        answer = sagemaker.describe_pipeline_execution(PipelineExecutionArn=arn)
        pages = sagemaker.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )
        steps = tuple(_step(item) for page in pages for item in page["PipelineExecutionSteps"])
    return Execution(
        arn=arn,
        status=answer["PipelineExecutionStatus"],
        reason=answer.get("FailureReason") or "",
        modified=answer["LastModifiedTime"],
        steps=steps,
    )


def follow(
    arn: str,
    seen: Callable[[Execution], None],
    *,
    timeout_seconds: float,
    patience_seconds: float = 900,
    refused_seconds: float = REFUSED_SECONDS,
    troubled: Callable[[str], None] = lambda _: None,
) -> Execution:
    """Waits until the execution has settled, showing each state to `seen`, and returns the last.

    Looks every half second at first and every 15 s in the end. What passes by itself (throttling, a lost connection,
    a fault of AWS, credentials that have run out and may be renewed) is tried again for `patience_seconds`, and a
    connection that is refused for `refused_seconds`; `troubled` hears of it at the first failure and once a minute.

    Raises:
        CloudError: AWS refuses, or stays away for longer than that; the execution goes on all the same.
        TimeoutError: it has not settled after `timeout_seconds`.
    """
    from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_exponential

    def look() -> Execution:
        execution = _patiently(arn, Patience(patience_seconds, troubled, refused_seconds=refused_seconds))
        seen(execution)
        return execution

    looking = Retrying(
        retry=retry_if_not_result(lambda execution: execution.settled),
        wait=wait_exponential(multiplier=FIRST_POLL_SECONDS, exp_base=1.05, max=15),
        stop=stop_after_delay(timeout_seconds),
    )
    try:
        return looking(look)
    except RetryError as error:
        raise TimeoutError(f"execution {arn} has not settled after {timeout_seconds / 60:.0f} minutes") from error


def _listed() -> Iterator[Mapping[str, Any]]:
    """Every execution in short, newest first; none where the pipeline has never been put there."""
    paginator = session.client("sagemaker").get_paginator("list_pipeline_executions")
    try:
        with session.explained(f"listing the executions of pipeline {NAME}"):
            for page in paginator.paginate(PipelineName=NAME, SortBy="CreationTime", SortOrder="Descending"):
                yield from page["PipelineExecutionSummaries"]
    except CloudError as error:
        if session.code(error.__cause__ or error) != "ResourceNotFound":
            raise


def _patiently(arn: str, patience: Patience) -> Execution:
    from tenacity import Retrying, retry_if_exception, wait_exponential_jitter

    looking = Retrying(
        retry=retry_if_exception(passes),
        wait=wait_exponential_jitter(multiplier=FIRST_RETRY_SECONDS, max=30, jitter=FIRST_RETRY_SECONDS),
        stop=patience.ended,
        before_sleep=patience.before_sleep,
        reraise=True,
    )
    return looking(describe, arn, attempts=2)  # the client's own eight would take a minute before anything is said


def output(job_arn: str, name: str) -> str:
    """The S3 URI of the output `name` of a processing job."""
    job = job_arn.rsplit("/", 1)[1]
    with session.explained(f"reading processing job {job}"):
        answer = session.client("sagemaker").describe_processing_job(ProcessingJobName=job)
    for item in answer.get("ProcessingOutputConfig", {}).get("Outputs", []):
        if item["OutputName"] == name:
            return str(item["S3Output"]["S3Uri"])
    raise CloudError(f"processing job {job} has no output {name}")


def log_place(job_arn: str) -> str:
    """Where CloudWatch keeps the job's log, for a person to look it up."""
    kind, name = job_arn.rsplit(":", 1)[1].split("/", 1)
    return f"log group {_LOG_GROUPS[kind]}, streams {name}/"


def log_tail(job_arn: str, lines: int) -> list[str]:
    """The last `lines` lines of the job's log in CloudWatch, oldest first; none where it has not written any.

    A log that may not be read is said in its place: it must not hide why the job failed.
    """
    from botocore.exceptions import ClientError

    kind, name = job_arn.rsplit(":", 1)[1].split("/", 1)
    group = _LOG_GROUPS[kind]
    logs = session.client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        events = [
            event
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], limit=lines, startFromHead=False
            )["events"]
        ]
    except ClientError as error:
        code = session.code(error)
        return [] if code == "ResourceNotFoundException" else [f"(the log in {group} cannot be read: {code})"]
    events.sort(key=lambda event: event["timestamp"])
    return [event["message"].rstrip() for event in events[-lines:]]


def _step(item: Mapping[str, Any]) -> Step:
    metadata: Mapping[str, Mapping[str, Any]] = item.get("Metadata") or {}
    job = metadata.get("ProcessingJob") or metadata.get("TrainingJob") or {}
    return Step(
        name=item["StepName"],
        status=item["StepStatus"],
        started=item.get("StartTime"),
        ended=item.get("EndTime"),
        reason=item.get("FailureReason") or "",
        job_arn=job.get("Arn", ""),
        package_arn=metadata.get("RegisterModel", {}).get("Arn", ""),
        message=metadata.get("Fail", {}).get("ErrorMessage", ""),
        cached=bool(item.get("CacheHitResult")),
    )
