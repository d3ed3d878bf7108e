"""Retry policies of steps: what kind of exception a failure is, and whether and when it is tried again.

A job that fails of itself (AlgorithmError) is of none of these kinds and never tried again, as on AWS.
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
    """The machinery around a job broke, not the job: disk full, no process could be started."""


def kind(error: BaseException) -> str | None:  # noqa: PLR0911 - a table, one row a return
    """The exception type, as retry policies name it, that `error` is of; None for one that is final."""
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
class Policy:
    """One retry policy of a step. Without either limit the number of attempts is SageMaker's cap of 20."""

    kinds: frozenset[str]
    interval_seconds: float = 1.0
    backoff_rate: float = 2.0
    max_attempts: int = 20
    expire_seconds: float = 240 * 3600.0

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Policy:
        """The policy that a definition states.

        Raises:
            ValueError: an unknown exception type, a limit out of bounds, or both limits at once.
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


# Pipelines tries these again whatever the definition says, unless a policy of the step says how.
_DEFAULT = Policy(frozenset({"Step.SERVICE_FAULT", "Step.THROTTLING"}), max_attempts=3)


def attempt(call: Callable[[], T], policies: Sequence[Policy], stop: threading.Event, count: Callable[[], None]) -> T:
    """`call`'s result, tried again as the policies say; `count` is told of every try, `stop` ends the waiting.

    Raises:
        Exception: the last error, once no policy has another try for it.
    """

    def policy(error: BaseException | None) -> Policy | None:
        name = kind(error) if error else None
        return next((p for p in (*policies, _DEFAULT) if name in p.kinds), None)

    def exhausted(state: tenacity.RetryCallState) -> bool:
        chosen = policy(state.outcome.exception() if state.outcome else None)
        # MaxAttempts counts retries, so that one more call is made in all.
        return (
            chosen is None
            or stop.is_set()
            or state.attempt_number > chosen.max_attempts
            or (state.seconds_since_start or 0) >= chosen.expire_seconds
        )

    def wait(state: tenacity.RetryCallState) -> float:
        chosen = policy(state.outcome.exception() if state.outcome else None) or _DEFAULT
        return float(chosen.interval_seconds * chosen.backoff_rate ** (state.attempt_number - 1))

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
