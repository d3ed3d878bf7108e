"""Retry policy for polling AWS.

Transient errors (throttling, a lost connection, a server error, expired credentials that may be renewed) are retried
until a limit. A refused connection has a shorter limit of two minutes: the host is up and nothing listens, which a lost
network never reports.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from ml import clock
from ml.aws import session
from ml.errors import CloudError

if TYPE_CHECKING:
    from tenacity import RetryCallState

REFUSED_SECONDS = 120
_REMIND_SECONDS = 60
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"}
_EXPIRED = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
}


def is_transient(error: BaseException) -> bool:
    """Whether a later retry may succeed."""
    if not isinstance(error, CloudError):
        return False
    cause = error.__cause__
    code = session.code(cause) if cause else ""
    if not code:  # botocore's own: no connection, no answer, no credentials at this moment
        return cause is not None and type(cause).__module__.startswith("botocore.")
    status = getattr(cause, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _THROTTLED | _EXPIRED or status >= 500


def is_connection_refused(error: BaseException) -> bool:
    """Whether the host refused the connection (nothing listens), as opposed to a timeout."""
    return any(isinstance(item, ConnectionRefusedError) for item in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(20):  # an end, should two errors name each other
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


class RetryBudget:
    """Limits the retries of one call: `is_exhausted` and `before_sleep` are tenacity hooks (stop, before_sleep).

    `troubled` is called with a message at the first failure, then once a minute.
    """

    def __init__(self, seconds: float, troubled: Callable[[str], None], *, refused_seconds: float = REFUSED_SECONDS):
        self._seconds, self._refused_seconds, self._troubled = seconds, refused_seconds, troubled
        self._started = time.monotonic()
        self._started_at = clock.now()
        self._refused_since: float | None = None
        self._reported_at: float | None = None

    def is_exhausted(self, state: RetryCallState) -> bool:
        """Whether to give up after the failure in `state`."""
        now = time.monotonic()
        if is_connection_refused(_failure(state)):
            self._refused_since = now if self._refused_since is None else self._refused_since
        else:
            self._refused_since = None
        return now >= self._until()

    def before_sleep(self, state: RetryCallState) -> None:
        """Reports the failure if due; the next attempt reads credentials and addresses again."""
        now = time.monotonic()
        if self._reported_at is None or now - self._reported_at >= _REMIND_SECONDS:
            self._reported_at = now
            until = self._started_at + timedelta(seconds=self._until() - self._started)
            what = (
                "answers with errors" if session.code(_failure(state).__cause__ or OSError()) else "cannot be reached"
            )
            self._troubled(
                f"AWS {what} since {self._started_at:%H:%M:%S} UTC, trying until {until:%H:%M:%S}: {_failure(state)}"
            )
        session.renew()

    def _until(self) -> float:
        if self._refused_since is None:
            return self._started + self._seconds
        return min(self._started + self._seconds, self._refused_since + self._refused_seconds)


def _failure(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error or CloudError("no reason given")
