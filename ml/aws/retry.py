"""Retry policy for polling AWS.

What passes by itself (throttling, a lost connection, a fault of AWS, credentials that have run out and may be renewed)
is waited out. A refused connection is another matter: the machine is there and nobody listens, which a lost network
never says, so that two minutes are enough of it.
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


def passes(error: BaseException) -> bool:
    """Whether `error` may be gone by itself in a while."""
    if not isinstance(error, CloudError):
        return False
    cause = error.__cause__
    code = session.code(cause) if cause else ""
    if not code:  # botocore's own: no connection, no answer, no credentials at this moment
        return cause is not None and type(cause).__module__.startswith("botocore.")
    status = getattr(cause, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return code in _THROTTLED | _EXPIRED or status >= 500


def refused(error: BaseException) -> bool:
    """Whether a machine answered that nobody listens there, unlike one that says nothing."""
    return any(isinstance(item, ConnectionRefusedError) for item in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    for _ in range(20):  # an end, should two errors name each other
        if found is None:
            return
        yield found
        found = found.__cause__ or found.__context__


class Patience:
    """Waits out one trouble: `ended` and `before_sleep` are tenacity's hooks of those names (stop, before_sleep).

    `troubled` gets a line at the first failure, and one a minute after that.
    """

    def __init__(self, seconds: float, troubled: Callable[[str], None], *, refused_seconds: float = REFUSED_SECONDS):
        self._seconds, self._refused_seconds, self._troubled = seconds, refused_seconds, troubled
        self._began = time.monotonic()
        self._since = clock.now()
        self._refused_from: float | None = None
        self._told: float | None = None

    def ended(self, state: RetryCallState) -> bool:
        """Whether the failure that `state` tells of is one too many."""
        now = time.monotonic()
        if refused(_failure(state)):
            self._refused_from = now if self._refused_from is None else self._refused_from
        else:
            self._refused_from = None
        return now >= self._until()

    def before_sleep(self, state: RetryCallState) -> None:
        """Says what is the matter, where it is time to; the next look reads credentials and addresses anew."""
        now = time.monotonic()
        if self._told is None or now - self._told >= _REMIND_SECONDS:
            self._told = now
            until = self._since + timedelta(seconds=self._until() - self._began)
            what = (
                "answers with errors" if session.code(_failure(state).__cause__ or OSError()) else "cannot be reached"
            )
            self._troubled(
                f"AWS {what} since {self._since:%H:%M:%S} UTC, trying until {until:%H:%M:%S}: {_failure(state)}"
            )
        session.renew()

    def _until(self) -> float:
        if self._refused_from is None:
            return self._began + self._seconds
        return min(self._began + self._seconds, self._refused_from + self._refused_seconds)


def _failure(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    return error or CloudError("no reason given")
