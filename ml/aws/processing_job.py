"""Runs a SageMaker processing job that belongs to no pipeline, and waits for its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml.aws import session
from ml.aws.retry import RetryBudget, is_transient
from ml.errors import CloudError

_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.5, 15
_PATIENCE_SECONDS = 900
_FIRST_RETRY_SECONDS = 0.5
_RUNNING = ("InProgress", "Stopping")
_NAME_TAKEN = "ResourceInUse"


def status(name: str, *, troubled: Callable[[str], None]) -> str | None:
    """The status of a job, such as `InProgress`, `Completed` or `Failed`; None if no job has the name.

    Raises:
        CloudError: AWS refuses or cannot be reached.
    """
    try:
        return str(_describe(name, troubled)["ProcessingJobStatus"])
    except CloudError as error:
        if _is_absent(error):
            return None
        raise


def run(request: Mapping[str, Any], *, timeout_seconds: float, troubled: Callable[[str], None]) -> None:
    """Creates the job of a CreateProcessingJob request and returns when it has completed.

    The caller has seen that no job has the name. If SageMaker says that one has it, it accepted an attempt whose answer
    was lost, and that job is waited for.

    Raises:
        CloudError: AWS refuses the job; otherwise as `wait`.
    """
    name = request["ProcessingJobName"]
    try:
        with session.explained(f"creating the processing job {name}"):
            session.client("sagemaker").create_processing_job(**request)
    except CloudError as error:
        if session.code(error.__cause__ or error) != _NAME_TAKEN:
            raise
    wait(name, timeout_seconds=timeout_seconds, troubled=troubled)


def wait(name: str, *, timeout_seconds: float, troubled: Callable[[str], None]) -> None:
    """Returns when a job has completed; stops it after `timeout_seconds`.

    Transient errors of AWS are retried; `troubled` is called at the first one, then once a minute.

    Raises:
        CloudError: the job did not complete, it has not ended after `timeout_seconds`, or it cannot be read.
    """
    from tenacity import RetryError, Retrying, retry_if_not_result, stop_after_delay, wait_exponential

    waiting = Retrying(
        retry=retry_if_not_result(lambda found: found["ProcessingJobStatus"] not in _RUNNING),
        wait=wait_exponential(multiplier=_FIRST_POLL_SECONDS, exp_base=1.05, max=_LONGEST_POLL_SECONDS),
        stop=stop_after_delay(timeout_seconds),
    )
    try:
        found = waiting(_describe, name, troubled)
    except RetryError as error:
        late = f"the processing job {name} has not ended after {timeout_seconds / 60:.0f} minutes"
        try:
            with session.explained(f"stopping the processing job {name}"):
                session.client("sagemaker").stop_processing_job(ProcessingJobName=name)
        except CloudError as refused:
            raise CloudError(f"{late}, and could not be stopped: {refused}") from error
        raise CloudError(f"{late} and was stopped; see it in SageMaker") from error
    if found["ProcessingJobStatus"] != "Completed":
        reason = found.get("ExitMessage") or found.get("FailureReason") or "no reason given"
        raise CloudError(f"the processing job {name} is {found['ProcessingJobStatus']}: {reason}")


def _is_absent(error: CloudError) -> bool:
    """Whether SageMaker answered that no job has the name.

    Its reference has ResourceNotFound; other Describe calls of SageMaker answer ValidationException with this text.
    """
    code = session.code(error.__cause__ or error)
    return code == "ResourceNotFound" or (code == "ValidationException" and "Could not find" in str(error))


def _describe(name: str, troubled: Callable[[str], None]) -> Mapping[str, Any]:
    from tenacity import Retrying, retry_if_exception, wait_exponential_jitter

    patience = RetryBudget(_PATIENCE_SECONDS, troubled)
    looking = Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_exponential_jitter(multiplier=_FIRST_RETRY_SECONDS, max=30, jitter=_FIRST_RETRY_SECONDS),
        stop=patience.is_exhausted,
        before_sleep=patience.before_sleep,
        reraise=True,
    )
    return looking(_describe_once, name)


def _describe_once(name: str) -> Mapping[str, Any]:
    with session.explained(f"reading the processing job {name}"):
        found: Mapping[str, Any] = session.client("sagemaker", attempts=2).describe_processing_job(
            ProcessingJobName=name
        )
    return found
