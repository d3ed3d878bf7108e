"""Applies the retry policies of steps: classifies a failure, and decides whether and when the step is retried.

A job whose own code fails (AlgorithmError) is of none of these kinds and is never retried, as on AWS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import tenacity
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError  # noqa: A004

T = TypeVar("T")

_KINDS = (
    "Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR",
    "SageMaker.RESOURCE_LIMIT",
)  # fmt: skip
_THROTTLES = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}


class JobInternalError(Exception):
    """The emulator failed to run a job: disk full, process not started."""


def kind(error: BaseException) -> str | None:  # noqa: PLR0911 - a table, one return per row
    """The ExceptionType of `error` in retry policies; None if it is not retried."""
    if isinstance(error, JobInternalError):
        return "SageMaker.JOB_INTERNAL_ERROR"
    if isinstance(error, ConnectionError | HTTPClientError):
        return "Step.SERVICE_FAULT"
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _THROTTLES or status == 429:
            return "Step.THROTTLING"
        if code in ("ResourceLimitExceeded", "ResourceLimitExceededException"):
            return "SageMaker.RESOURCE_LIMIT"
        if code in ("CapacityError", "InsufficientCapacity"):
            return "SageMaker.CAPACITY_ERROR"
        if status >= 500:
            return "Step.SERVICE_FAULT"
    return None


@dataclass(frozen=True)
class RetryPolicy:
    """One retry policy of a step. Without a limit, the maximum is SageMaker's 20 attempts."""

    kinds: frozenset[str]
    interval_seconds: float = 1.0
    backoff_rate: float = 2.0
    max_attempts: int = 20
    expire_seconds: float = 240 * 3600.0

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> RetryPolicy:
        """Parses a policy of a definition.

        Raises:
            ValueError: an unknown exception type, a limit out of bounds, or both limits.
        """
        kinds = raw.get("ExceptionType") or []
        attempts, minutes = raw.get("MaxAttempts"), raw.get("ExpireAfterMin")
        if not kinds or any(name not in _KINDS for name in kinds):
            raise ValueError(f"ExceptionType of a retry policy must be of {', '.join(_KINDS)} (got {kinds!r}).")
        if attempts is not None and minutes is not None:
            raise ValueError("Only one of MaxAttempts and ExpireAfterMin can be given.")
        if attempts is not None and not (isinstance(attempts, int) and 1 <= attempts <= 20):
            raise ValueError(f"MaxAttempts must be between 1 and 20 (got {attempts!r}).")
        if minutes is not None and not 0 <= float(minutes) <= 14400:
            raise ValueError(f"ExpireAfterMin must be between 0 and 14400 (got {minutes!r}).")
        return cls(
            frozenset(kinds),
            float(raw.get("IntervalSeconds", cls.interval_seconds)),
            float(raw.get("BackoffRate", cls.backoff_rate)),
            attempts or cls.max_attempts,
            cls.expire_seconds if minutes is None else float(minutes) * 60,
        )


# Pipelines always retries these, unless a policy of the step matches.
_DEFAULT_POLICY = RetryPolicy(frozenset({"Step.SERVICE_FAULT", "Step.THROTTLING"}), max_attempts=3)


def attempt(
    call: Callable[[], T], policies: Sequence[RetryPolicy], stop: threading.Event, count: Callable[[], None]
) -> T:
    """Calls `call` with retries; calls `count` before each attempt, and `stop` ends a wait.

    Raises:
        Exception: the last error, when no policy allows another attempt.
    """

    def policy(error: BaseException | None) -> RetryPolicy | None:
        name = kind(error) if error else None
        return next((p for p in (*policies, _DEFAULT_POLICY) if name in p.kinds), None)

    def exhausted(state: tenacity.RetryCallState) -> bool:
        applied = policy(state.outcome.exception() if state.outcome else None)
        # MaxAttempts counts the retries, without the first call.
        return (
            applied is None
            or stop.is_set()
            or state.attempt_number > applied.max_attempts
            or (state.seconds_since_start or 0) >= applied.expire_seconds
        )

    def wait(state: tenacity.RetryCallState) -> float:
        applied = policy(state.outcome.exception() if state.outcome else None) or _DEFAULT_POLICY
        return float(applied.interval_seconds * applied.backoff_rate ** (state.attempt_number - 1))

    def sleep(seconds: float) -> None:
        stop.wait(seconds)

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: kind(error) is not None),
        stop=exhausted,
        wait=wait,
        sleep=sleep,
        before=lambda _: count(),
        reraise=True,
    )
    return retrying(call)
