"""Starts, follows, resumes and explains executions of the training pipeline.

An execution runs in AWS, independent of its observers, so every operation can be repeated with its ARN. Following it
survives throttling, network failures and renewed credentials.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ml.aws import platform_stack, session
from ml.aws.retry import REFUSED_SECONDS, RetryBudget, is_transient
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
    """One step of an execution and its current state."""

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
    """The error message of a Fail step; '' for other steps."""
    cached: bool

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One execution and its current state; steps in the order of their start."""

    arn: str
    status: str
    reason: str
    modified: datetime
    steps: tuple[Step, ...]

    @property
    def settled(self) -> bool:
        """Whether the execution has reached a final status."""
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


def start(parameters: Mapping[str, str], *, token: str, label: str, pipeline: str | None = None) -> str:
    """Starts an execution and returns its ARN; the same `token` again returns the same execution.

    `pipeline` is the pipeline's name; None for the training pipeline.

    Empty values are not sent, because SageMaker refuses them: the definition's default applies, which is empty too.
    `label` is its display name, by which `find` finds it after SageMaker's token has expired.
    """
    name = pipeline or platform_stack.pipeline_name()
    with session.explained(f"starting pipeline {name}"):
        answer = session.client("sagemaker").start_pipeline_execution(
            PipelineName=name,
            PipelineExecutionDisplayName=label,
            PipelineParameters=[{"Name": name, "Value": value} for name, value in sorted(parameters.items()) if value],
            ClientRequestToken=token,
        )
    return str(answer["PipelineExecutionArn"])


def find(label: str) -> str | None:
    """The ARN of the newest execution with that display name; None if there is none, or not even a pipeline."""
    return next((str(item["PipelineExecutionArn"]) for item in _listed() if item.get(_LABEL) == label), None)


def running(pipeline: str | None = None) -> dict[str, str]:
    """The executions that have not settled: each one's display name by its ARN, newest first.

    `pipeline` is the pipeline's name; None for the training pipeline.
    """
    return {
        str(item["PipelineExecutionArn"]): str(item.get(_LABEL) or "")
        for item in _listed(pipeline)
        if item.get("PipelineExecutionStatus") in _UNDER_WAY
    }


def parameters(arn: str) -> dict[str, str]:
    """The parameters with which an execution was started."""
    paginator = session.client("sagemaker").get_paginator("list_pipeline_parameters_for_execution")
    with session.explained(f"reading the parameters of execution {arn}"):
        return {
            str(item["Name"]): str(item["Value"])
            for page in paginator.paginate(PipelineExecutionArn=arn)
            for item in page["PipelineParameters"]
        }


def definition(arn: str) -> str:
    """The definition that an execution ran: later changes of its pipeline are not in it."""
    with session.explained(f"reading the definition of execution {arn}"):
        answer = session.client("sagemaker").describe_pipeline_definition_for_execution(PipelineExecutionArn=arn)
    return str(answer["PipelineDefinition"])


def images(definition_text: str) -> dict[str, str]:
    """The image of each job of a definition, by its step."""
    found: dict[str, str] = {}
    for step in json.loads(definition_text)["Steps"]:
        arguments: Mapping[str, Any] = step.get("Arguments") or {}
        job = arguments.get("AppSpecification") or arguments.get("AlgorithmSpecification") or {}
        image = job.get("ImageUri") or job.get("TrainingImage")
        if image:
            found[str(step["Name"])] = str(image)
    return found


def stop(arn: str, *, timeout_seconds: float) -> Execution:
    """Stops an execution with its jobs, waits until it has settled, and returns how it ended.

    An execution that settles by itself meanwhile is no error. Completed steps stay: a later retry continues after them.

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
    """Continues a failed or stopped execution from the failed step, under the same ARN."""
    with session.explained(f"retrying execution {arn}"):
        session.client("sagemaker").retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken=token)


def describe(arn: str, *, attempts: int = session.ATTEMPTS) -> Execution:
    """The execution and its current state. Raises CloudError if there is none or AWS cannot be reached."""
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
    """Polls until the execution has settled, passes each state to `seen`, and returns the last.

    The poll interval grows from half a second to 15 s. Transient errors (throttling, a lost connection, a server error,
    expired credentials that may be renewed) are retried for `patience_seconds`, a refused connection for
    `refused_seconds`; `troubled` is called at the first failure and then once a minute.

    Raises:
        CloudError: AWS refuses, or is unreachable beyond these limits; the execution itself continues.
        TimeoutError: it has not settled after `timeout_seconds`.
    """
    from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_exponential

    def look() -> Execution:
        execution = _describe_with_retries(
            arn, RetryBudget(patience_seconds, troubled, refused_seconds=refused_seconds)
        )
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


def _listed(pipeline: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Summaries of all executions, newest first; none if the pipeline does not exist."""
    name, paginator = (
        pipeline or platform_stack.pipeline_name(),
        session.client("sagemaker").get_paginator("list_pipeline_executions"),
    )
    try:
        with session.explained(f"listing the executions of pipeline {name}"):
            for page in paginator.paginate(PipelineName=name, SortBy="CreationTime", SortOrder="Descending"):
                yield from page["PipelineExecutionSummaries"]
    except CloudError as error:
        if session.code(error.__cause__ or error) != "ResourceNotFound":
            raise


def _describe_with_retries(arn: str, patience: RetryBudget) -> Execution:
    from tenacity import Retrying, retry_if_exception, wait_exponential_jitter

    looking = Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_exponential_jitter(multiplier=FIRST_RETRY_SECONDS, max=30, jitter=FIRST_RETRY_SECONDS),
        stop=patience.is_exhausted,
        before_sleep=patience.before_sleep,
        reraise=True,
    )
    return looking(describe, arn, attempts=2)  # the client's own eight attempts would delay the first report


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
    """Log group and stream prefix of the job in CloudWatch, for a message."""
    kind, name = job_arn.rsplit(":", 1)[1].split("/", 1)
    return f"log group {_LOG_GROUPS[kind]}, streams {name}/"


def log_tail(job_arn: str, lines: int) -> list[str]:
    """The last `lines` lines of the job's log in CloudWatch, oldest first; none if it has not written any.

    A log that cannot be read is replaced by a note: it must not hide why the job failed.
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
