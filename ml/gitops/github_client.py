"""The GitHub client: PyGithub with retries, and errors that say what to do.

It goes to GITHUB_API_URL as GITHUB_TOKEN, for GITHUB_REPOSITORY, and never knows whether that is GitHub itself. What to
ask for is the business of pulls, issues, statuses and evidence; they state each errand as a function that can be run
again from its start, because the answer to a write can be lost although the write was done.
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
_UNAUTHORISED, _FORBIDDEN, _ABSENT, _CONFLICT, _TOO_MANY = 401, 403, 404, 409, 429
# What a write answers with when the thing is there already or has moved, and an errand that starts again settles it.
_INVALID = 422
_HINTS = {
    "not permitted to create": (
        'switch on "Allow GitHub Actions to create and approve pull requests" in the repository\'s Actions settings'
    ),
    "not accessible by integration": "grant the job that permission in its workflow",
    "not accessible by personal access token": "give the token that permission",
}

_Result = TypeVar("_Result")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Retry policy for GitHub; times in seconds.

    Pauses during an outage double, three minutes in all. A rate limit is waited out as long as GitHub asks for, up to
    `longest_wait`. `sleep` takes each pause between attempts.
    """

    attempts: int = 8
    backoff: float = 1.0
    longest_backoff: float = 60.0
    secondary_wait: float = 60.0  # where GitHub names no time: its documentation asks for at least a minute
    longest_wait: float = 900.0
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """One repository on a GitHub."""

    api_url: str
    server_url: str
    repository: str
    token: str
    patience: Patience = Patience()

    def __repr__(self) -> str:  # the token is in no log, not even by accident
        return f"GitHub({self.repository!r} at {self.api_url!r})"

    @classmethod
    def from_environment(cls, *, repository: str | None = None, patience: Patience | None = None) -> GitHub:
        """The repository that this run belongs to, as a workflow's environment names it; or `repository`.

        Raises:
            GitHubError: GITHUB_REPOSITORY or GITHUB_TOKEN is not set.
        """
        needed = ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if repository is None else ("GITHUB_TOKEN",)
        missing = [name for name in needed if not os.environ.get(name)]
        if missing:
            raise GitHubError(
                f"{' and '.join(missing)} must be set to reach GitHub: a workflow's step gives the token by "
                "`env: GITHUB_TOKEN`; on a laptop set both, with a token that may write to the repository"
            )
        return cls(
            api_url=os.environ.get("GITHUB_API_URL") or API_URL,
            server_url=os.environ.get("GITHUB_SERVER_URL") or SERVER_URL,
            repository=repository or os.environ["GITHUB_REPOSITORY"],
            token=os.environ["GITHUB_TOKEN"],
            patience=patience or Patience(),
        )

    @property
    def owner(self) -> str:
        """The account that the repository belongs to."""
        return self.repository.split("/")[0]

    @property
    def url(self) -> str:
        """The repository's page."""
        return f"{self.server_url.rstrip('/')}/{self.repository}"

    def run(self, doing: str, errand: Callable[[Repository], _Result]) -> _Result:
        """What `errand` returns, given the repository; a failure is a GitHubError that begins with `doing`.

        Requests that may be repeated are, as are all that a rate limit turned away. Where a POST was lost (a 5xx, a
        broken connection), nobody knows whether it was done: the errand starts again, so it must look before it makes.
        """
        again = Retrying(
            retry=retry_if_exception(_lost),
            stop=stop_after_attempt(self.patience.attempts),
            wait=wait_exponential_jitter(
                multiplier=self.patience.backoff, max=self.patience.longest_backoff, jitter=self.patience.backoff
            ),
            sleep=self.patience.sleep,
            reraise=True,
        )
        from github import GithubException
        from requests import RequestException

        try:
            result: _Result = again(self._once, errand)
        except GithubException as error:
            raise GitHubError(f"{doing}: {self._refusal(error)}") from error
        except RequestException as error:
            raise GitHubError(
                f"{doing}: GitHub at {self.api_url} gave no usable answer after {self.patience.attempts} attempts "
                f"({_reason(error)}); run this again when it is back"
            ) from error
        return result

    def _once(self, errand: Callable[[Repository], _Result]) -> _Result:
        from github import Auth, Github

        with Github(
            auth=Auth.Token(self.token),
            base_url=self.api_url.rstrip("/"),
            timeout=_TIMEOUT_SECONDS,
            per_page=100,
            retry=_retry(self.patience),
            user_agent="fraudops",
            lazy=True,
            # A run makes some twenty requests: pausing after each would cost more than the limits that are honoured.
            seconds_between_requests=None,
            seconds_between_writes=None,
        ) as api:
            return errand(api.get_repo(self.repository))

    def _refusal(self, error: GithubException) -> str:
        from github import RateLimitExceededException

        said = message(error)
        if isinstance(error, RateLimitExceededException):
            return (
                f"GitHub's rate limit is used up and resets in more than {self.patience.longest_wait:.0f} s "
                f"({said}); run this again later"
            )
        if error.status == _UNAUTHORISED:
            return f"GitHub at {self.api_url} does not take the token ({said}); check GITHUB_TOKEN, it may have expired"
        hint = next((hint for words, hint in _HINTS.items() if words in said.lower()), None)
        if hint is None and error.status in (_FORBIDDEN, _ABSENT):
            hint = f"check that {self.repository} is there and that the token may do this"
        if error.status >= 500:
            hint = "run this again when it is back"
        return f"GitHub answered {error.status}: {said}" + (f"; {hint}" if hint else "")


def message(error: GithubException) -> str:
    """What GitHub said, with the details of a 422 behind it, in one line."""
    data = error.data if isinstance(error.data, dict) else {}
    details = [
        str(item.get("message") or " ".join(str(item[key]) for key in ("field", "code") if key in item))
        if isinstance(item, dict)
        else str(item)
        for item in (data.get("errors") or [])
    ]
    said = str(data.get("message") or error.message or error.data or "nothing")
    return " ".join(" ".join(filter(None, [said, *details])).split())


def invalid(error: GithubException) -> bool:
    """Whether GitHub refused the content: among others where a thing is there already, or has moved meanwhile."""
    return bool(error.status == _INVALID)


def conflicting(error: GithubException) -> bool:
    """Whether somebody else changed the same thing at the same moment; of a branch, GitHub says this or `invalid`."""
    return bool(error.status == _CONFLICT)


def absent(error: GithubException) -> bool:
    """Whether there is no such thing (or none that the token may see)."""
    return bool(error.status == _ABSENT)


def trusted(author: Any, association: str | None) -> bool:
    """Whether a comment or an issue is by an App (the workflow token is one) or by someone invited to work here.

    Anybody may comment on a public repository and could copy a hidden marker: what they wrote is never taken for ours.
    """
    return getattr(author, "type", None) == "Bot" or association in ("OWNER", "MEMBER", "COLLABORATOR")


def _lost(error: BaseException) -> bool:
    """Whether a request that may not be repeated by itself got no answer; those that may have had their attempts."""
    from github import GithubException
    from requests import RequestException
    from urllib3.exceptions import MaxRetryError

    if isinstance(error, GithubException):
        return bool(error.status >= 500)
    return isinstance(error, RequestException) and not (error.args and isinstance(error.args[0], MaxRetryError))


def _reason(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    return " ".join(str(getattr(inner, "reason", None) or inner).split())


def _retry(patience: Patience) -> Retry:
    """PyGithub's own retries, but that a POST is repeated only where it certainly was not done."""
    from github import GithubRetry, RateLimitExceededException

    class Retries(GithubRetry):
        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            del has_retry_after
            if status_code in (_FORBIDDEN, _TOO_MANY):  # `increment` tells a rate limit from a refusal
                return True
            return status_code >= 500 and method.upper() in (self.allowed_methods or ())

        def sleep(self, response: Any = None) -> None:
            if response is not None:  # it may ask for a time
                super().sleep(response)
            else:
                patience.sleep(self.get_backoff_time())

        def increment(
            self, method: str | None = None, url: str | None = None, response: Any = None, *rest: Any, **named: Any
        ) -> Any:
            asked = _asked(response, patience) if response is not None else None
            if asked is None:
                return super().increment(method, url, response, *rest, **named)
            if asked > patience.longest_wait:
                response.close()  # nobody else will: its connection would stay open
                said = f"asked to wait {asked:.0f} s"
                raise RateLimitExceededException(response.status, {"message": said}, dict(response.headers))
            following = super(GithubRetry, self).increment(method, url, response, *rest, **named)
            if "Retry-After" not in response.headers:
                vars(following)["get_backoff_time"] = lambda: asked  # as PyGithub does for a 403
            return following

    return Retries(
        total=patience.attempts - 1,
        backoff_factor=patience.backoff,
        backoff_max=patience.longest_backoff,
        backoff_jitter=patience.backoff,
        # Every PATCH of ours sets a value (title, state, a branch's commit): doing it twice is doing it once.
        allowed_methods=frozenset({"GET", "HEAD", "PUT", "DELETE", "PATCH"}),
        secondary_rate_wait=patience.secondary_wait,
        max_rate_limit_wait=patience.longest_wait,
        retry_after_max=int(patience.longest_wait) + 1,
    )


def _asked(response: Any, patience: Patience) -> float | None:
    """The seconds that GitHub asks to wait; None where PyGithub reads them itself (a 403 explained in its body)."""
    headers = response.headers
    after = str(headers.get("Retry-After", ""))
    if after.isdigit():
        return float(after) if response.status in (_FORBIDDEN, _TOO_MANY) else None
    if response.status != _TOO_MANY:
        return None
    reset = str(headers.get("X-RateLimit-Reset", ""))
    if headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        # GitHub's own clock counts here, not the project's: FRAUDOPS_NOW is for decisions.
        return max(0.0, float(reset) - time.time()) + 1
    return patience.secondary_wait
