"""The GitHub client: PyGithub with retries, and errors that say what to do.

It connects to GITHUB_API_URL with GITHUB_TOKEN, for GITHUB_REPOSITORY, and never knows whether that is GitHub or the
GitHub emulator. The requests are in the modules for pull requests, issues, statuses and evidence. Each passes an
operation that can be repeated from its start, because the response to a write can be lost after the write was done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from ml.errors import GitHubError

if TYPE_CHECKING:
    from github import GithubException
    from github.Repository import Repository
    from urllib3 import Retry

API_URL = "https://api.github.com"
SERVER_URL = "https://github.com"
BODY_LIMIT = 65_536  # of a pull request, an issue or a comment

_TIMEOUT_SECONDS = 30
_SHORTEST_TOKEN = 8  # characters; GitHub's have forty and more
_UNAUTHORISED, _FORBIDDEN, _ABSENT, _CONFLICT, _TOO_MANY = 401, 403, 404, 409, 429
# The response to a write whose target exists already or has moved. Repeating the operation resolves it.
_INVALID = 422
_VARIABLES = {
    "GITHUB_REPOSITORY": "GITHUB_REPOSITORY=OWNER/NAME",
    "GITHUB_TOKEN": "GITHUB_TOKEN with a token that may write to the repository",
}
_HINTS = {
    "not permitted to create": (
        'switch on "Allow GitHub Actions to create and approve pull requests" in the repository\'s Actions settings'
    ),
    "not accessible by integration": "grant the job that permission in its workflow",
    "not accessible by personal access token": "give the token that permission",
}

_Result = TypeVar("_Result")


def _sleep(seconds: float) -> None:
    time.sleep(seconds)  # looked up now, so that a simulated time reaches policies that were made before


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """Retry policy for GitHub; times in seconds.

    Pauses during an outage double, up to three minutes in total. A rate limit is waited out for as long as GitHub asks,
    up to `max_wait`. `sleep` is called for each pause between attempts.
    """

    attempts: int = 8
    backoff: float = 1.0
    max_backoff: float = 60.0
    secondary_wait: float = 60.0  # if GitHub names no time: its documentation asks for at least a minute
    max_wait: float = 900.0
    sleep: Callable[[float], None] = _sleep


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """The API client of one GitHub repository."""

    api_url: str
    server_url: str
    repository: str
    token: str
    retry: RetryPolicy = RetryPolicy()

    def __repr__(self) -> str:  # keep the token out of logs
        return f"GitHub({self.repository!r} at {self.api_url!r})"

    @classmethod
    def from_environment(cls, *, repository: str | None = None, retry: RetryPolicy | None = None) -> GitHub:
        """The client of `repository`, or of the repository that the workflow run's environment names.

        Raises:
            GitHubError: GITHUB_REPOSITORY or GITHUB_TOKEN is not set.
        """
        needed = ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if repository is None else ("GITHUB_TOKEN",)
        missing = [name for name in needed if not os.environ.get(name)]
        if missing:
            raise GitHubError(
                f"{' and '.join(missing)} must be set to reach GitHub: on a laptop, export "
                f"{' and '.join(_VARIABLES[name] for name in missing)}; a workflow's step sets the token with "
                "`env: GITHUB_TOKEN`"
            )
        return cls(
            api_url=os.environ.get("GITHUB_API_URL") or API_URL,
            server_url=os.environ.get("GITHUB_SERVER_URL") or SERVER_URL,
            repository=repository or os.environ["GITHUB_REPOSITORY"],
            token=os.environ["GITHUB_TOKEN"],
            retry=retry or RetryPolicy(),
        )

    @property
    def owner(self) -> str:
        """The account that the repository belongs to."""
        return self.repository.split("/")[0]

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self.server_url.rstrip('/')}/{self.repository}"

    def run(self, doing: str, operation: Callable[[Repository], _Result]) -> _Result:
        """Runs `operation` on the repository and returns its result; GitHubErrors begin with `doing`.

        Idempotent requests and requests refused by a rate limit are retried. If a POST gets no usable response (a 5xx,
        a broken connection), it may have been done: the whole operation is repeated, so it must check before it
        creates.
        """
        retrying = Retrying(
            retry=retry_if_exception(_is_lost_write),
            stop=stop_after_attempt(self.retry.attempts),
            wait=wait_exponential_jitter(
                multiplier=self.retry.backoff,
                max=self.retry.max_backoff,
                jitter=self.retry.backoff,
            ),
            sleep=self.retry.sleep,
            reraise=True,
        )
        from github import GithubException
        from requests import RequestException

        try:
            result: _Result = retrying(self._run_once, operation)
        except GithubException as error:
            # A proxy's refusal may show the request's headers.
            raise GitHubError(f"{doing}: {self._without_token(self._explain(error))}") from error
        except RequestException as error:
            raise GitHubError(
                f"{doing}: GitHub at {self.api_url} gave no usable response after {self.retry.attempts} attempts "
                f"({_reason(error)}); run this again when it is back"
            ) from error
        return result

    def _run_once(self, operation: Callable[[Repository], _Result]) -> _Result:
        from github import Auth, Github

        with Github(
            auth=Auth.Token(self.token),
            base_url=self.api_url.rstrip("/"),
            timeout=_TIMEOUT_SECONDS,
            per_page=100,
            retry=_retry(self.retry),
            user_agent="fraudops",
            lazy=True,
            # A run makes about twenty requests: a pause after each would cost more than the rate limits do.
            seconds_between_requests=None,
            seconds_between_writes=None,
        ) as api:
            return operation(api.get_repo(self.repository))

    def _without_token(self, text: str) -> str:
        """`text` without the token; of what is too short for a token of GitHub, nothing is replaced."""
        return text.replace(self.token, "***") if len(self.token) >= _SHORTEST_TOKEN else text

    def _explain(self, error: GithubException) -> str:
        from github import RateLimitExceededException

        said = error_message(error)
        if isinstance(error, RateLimitExceededException):
            return (
                f"GitHub's rate limit is used up and resets in more than {self.retry.max_wait:.0f} s "
                f"({said}); run this again later"
            )
        if error.status == _UNAUTHORISED:
            return f"GitHub at {self.api_url} rejects the token ({said}); check GITHUB_TOKEN, it may have expired"
        hint = next((hint for words, hint in _HINTS.items() if words in said.lower()), None)
        if hint is None and error.status in (_FORBIDDEN, _ABSENT):
            hint = f"check that {self.repository} exists and that the token may do this"
        if error.status >= 500:
            hint = "run this again when it is back"
        return f"GitHub answered {error.status}: {said}" + (f"; {hint}" if hint else "")


def error_message(error: GithubException) -> str:
    """GitHub's error message, followed by the details of a 422, in one line."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [
        str(item.get("message") or " ".join(str(item[key]) for key in ("field", "code") if key in item))
        if isinstance(item, dict)
        else str(item)
        for item in (data.get("errors") or [])
    ]
    said = str(data.get("message") or error.message or error.data or "nothing")
    return " ".join(" ".join(filter(None, [said, *details])).split())


def is_invalid(error: GithubException) -> bool:
    """Whether GitHub refused the content (422), e.g. because the object exists already or has moved meanwhile."""
    return bool(error.status == _INVALID)


def is_conflict(error: GithubException) -> bool:
    """Whether a concurrent change conflicts (409). For a branch, GitHub responds with this or 422."""
    return bool(error.status == _CONFLICT)


def is_not_found(error: GithubException) -> bool:
    """Whether the object does not exist, or the token may not see it (404)."""
    return bool(error.status == _ABSENT)


def is_trusted_author(author: Any, association: str | None) -> bool:
    """Whether the author of a comment or an issue is an App (as the workflow token is) or a collaborator.

    Anybody may comment on a public repository and copy a hidden marker; such comments are never taken for the bot's.
    """
    return getattr(author, "type", None) == "Bot" or association in ("OWNER", "MEMBER", "COLLABORATOR")


def _is_lost_write(error: BaseException) -> bool:
    """Whether a request that must not be retried by itself got no response; idempotent ones were retried already."""
    from github import GithubException
    from requests import RequestException
    from urllib3.exceptions import MaxRetryError

    if isinstance(error, GithubException):
        return bool(error.status >= 500)
    return isinstance(error, RequestException) and not (error.args and isinstance(error.args[0], MaxRetryError))


def _reason(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    return " ".join(str(getattr(inner, "reason", None) or inner).split())


def _retry(retry: RetryPolicy) -> Retry:
    """PyGithub's retries, except that a POST is retried only if it was certainly not done."""
    from github import GithubRetry, RateLimitExceededException

    class Retries(GithubRetry):
        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            del has_retry_after
            if status_code in (_FORBIDDEN, _TOO_MANY):  # `increment` distinguishes a rate limit from a refusal
                return True
            return status_code >= 500 and method.upper() in (self.allowed_methods or ())

        def sleep(self, response: Any = None) -> None:
            if response is not None:  # it may name a wait
                super().sleep(response)
            else:
                retry.sleep(self.get_backoff_time())

        def increment(
            self, method: str | None = None, url: str | None = None, response: Any = None, *rest: Any, **named: Any
        ) -> Any:
            asked = _requested_wait(response, retry) if response is not None else None
            if asked is None:
                return super().increment(method, url, response, *rest, **named)
            if asked > retry.max_wait:
                response.close()  # otherwise its connection stays open
                said = f"asked to wait {asked:.0f} s"
                raise RateLimitExceededException(response.status, {"message": said}, dict(response.headers))
            following = super(GithubRetry, self).increment(method, url, response, *rest, **named)
            if "Retry-After" not in response.headers:
                vars(following)["get_backoff_time"] = lambda: asked  # as PyGithub does for a 403
            return following

    return Retries(
        total=retry.attempts - 1,
        backoff_factor=retry.backoff,
        backoff_max=retry.max_backoff,
        backoff_jitter=retry.backoff,
        # Each PATCH sets a value (title, state, a branch's commit), so it is idempotent.
        allowed_methods=frozenset({"GET", "HEAD", "PUT", "DELETE", "PATCH"}),
        secondary_rate_wait=retry.secondary_wait,
        max_rate_limit_wait=retry.max_wait,
        retry_after_max=int(retry.max_wait) + 1,
    )


def _requested_wait(response: Any, retry: RetryPolicy) -> float | None:
    """The seconds that GitHub asks to wait; None if PyGithub reads them itself (a 403 explained in its body)."""
    headers = response.headers
    after = str(headers.get("Retry-After", ""))
    if after.isdigit():
        return float(after) if response.status in (_FORBIDDEN, _TOO_MANY) else None
    if response.status != _TOO_MANY:
        return None
    reset = str(headers.get("X-RateLimit-Reset", ""))
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        # The real clock, because GitHub set the header; FRAUDOPS_NOW is for decisions.
        return max(0.0, float(reset) - time.time()) + 1
    return retry.secondary_wait
