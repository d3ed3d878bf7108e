"""The GitHub client: which requests are retried, for how long, rate limits, and error messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
from github.Repository import Repository

from ml.errors import GitHubError
from ml.gitops import comments
from ml.gitops.github_client import GitHub, RetryPolicy
from tests.harness.github.scripted import PREFIX, RETRY_POLICY, Script, answer, refusal, serving

LABEL = {"name": "x", "color": "aabbcc"}
ISSUE = {"number": 1, "url": "", "title": "t", "state": "open"}


@pytest.fixture
def script() -> Iterator[Script]:
    """A scripted GitHub without any answers yet."""
    with serving(Script()) as made:
        yield made


def colour(repository: Repository) -> str:
    """An operation of one GET."""
    return repository.get_label("x").color


def create(repository: Repository) -> int:
    """An operation of one POST."""
    return repository.create_issue("t").number


def test_environment_sets_url_repository_and_token(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a workflow the client needs only GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN."""
    script.on("GET", "/labels/x", answer(LABEL))
    for name, value in (("API_URL", f"{script.url}/api/v3"), ("REPOSITORY", "o/r"), ("TOKEN", "secret-token")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert GitHub.from_environment().run("looking", colour) == "aabbcc"
    assert script.asked == [("GET", "/labels/x", None)]
    assert script.headers[0]["Authorization"] == "token secret-token"


def test_github_com_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repository and token suffice outside of a workflow; the token is in no text of the client."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    github = GitHub.from_environment()
    assert (github.api_url, github.url, github.owner) == ("https://api.github.com", "https://github.com/o/r", "o")
    assert "secret-token" not in f"{github!r} {github}"


def test_missing_token_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and has exit code 12."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    with pytest.raises(GitHubError, match="GITHUB_TOKEN must be set") as caught:
        GitHub.from_environment()
    assert caught.value.exit_code == 12


@pytest.mark.parametrize("status", [500, 502, 503])
def test_failed_read_is_retried(script: Script, status: int) -> None:
    """Two server errors followed by an answer give the answer."""
    script.on("GET", "/labels/x", refusal(status, "Oops"), refusal(status, "Oops"), answer(LABEL))
    assert script.github().run("looking", colour) == "aabbcc"
    assert script.count("GET", "/labels/x") == 3


def test_read_retries_are_limited(script: Script) -> None:
    """After the last attempt one line has the operation, the URL, the status and the next step."""
    script.on("GET", "/labels/x", refusal(502, "Bad gateway"))
    with pytest.raises(GitHubError, match=r"^looking: GitHub at http\S+ gave no .* 4 attempts .*502.*run this again"):
        script.github().run("looking", colour)
    assert script.count("GET", "/labels/x") == RETRY_POLICY.attempts


def test_lost_write_repeats_the_whole_operation(script: Script) -> None:
    """A failed POST may have been carried out: the operation reads first, so nothing is created twice."""
    script.on("POST", "/issues", refusal(502, "Oops"))
    done: list[int] = []

    def operation(repository: Repository) -> int:
        if script.count("POST", "/issues"):
            done.append(1)
            return 7
        return create(repository)

    assert script.github().run("opening", operation) == 7
    assert (script.count("POST", "/issues"), done) == (1, [1])


def test_write_has_as_many_attempts_as_a_read(script: Script) -> None:
    """The retries of the client and of the operation do not multiply."""
    script.on("POST", "/issues", refusal(500, "Oops"))
    with pytest.raises(GitHubError, match=r"^opening: GitHub answered 500: Oops; run this again"):
        script.github().run("opening", create)
    assert script.count("POST", "/issues") == RETRY_POLICY.attempts


@pytest.mark.parametrize(
    "limit",
    [
        refusal(403, "You have exceeded a secondary rate limit. Please wait."),
        refusal(403, "You have exceeded a secondary rate limit.", Retry_After="0"),
        refusal(
            403, "API rate limit exceeded for installation ID 1.", X_RateLimit_Reset="1", X_RateLimit_Remaining="0"
        ),
        refusal(429, "Too many requests", Retry_After="0"),
        refusal(429, "Too many requests"),
    ],
    ids=["secondary", "secondary with a time", "primary", "429 with a time", "429"],
)
def test_rate_limit_is_waited_for(script: Script, limit: Any) -> None:
    """A rate limit means that nothing was done, so reads and writes are both retried."""
    script.on("GET", "/labels/x", limit, answer(LABEL)).on("POST", "/issues", limit, answer(ISSUE, 201))
    assert script.github(replace(RETRY_POLICY, max_wait=120)).run("looking", colour) == "aabbcc"
    assert script.github(replace(RETRY_POLICY, max_wait=120)).run("opening", create) == 1
    assert (script.count("GET", "/labels/x"), script.count("POST", "/issues")) == (2, 2)


@pytest.mark.parametrize("status", [403, 429])
def test_retry_after_sets_the_pause(script: Script, status: int) -> None:
    """Retry-After replaces the client's own backoff."""
    script.on("GET", "/labels/x", refusal(status, "secondary rate limit", Retry_After="1"), answer(LABEL))
    before = time.monotonic()
    assert script.github().run("looking", colour) == "aabbcc"
    assert 1 <= time.monotonic() - before < 5


def test_rate_limit_reset_of_a_429_sets_the_pause(script: Script) -> None:
    """The request is repeated at the second that X-RateLimit-Reset names."""
    limit = refusal(429, "Too many", X_RateLimit_Remaining="0", X_RateLimit_Reset=str(int(time.time()) + 1))
    script.on("GET", "/labels/x", limit, answer(LABEL))
    before = time.monotonic()
    assert script.github().run("looking", colour) == "aabbcc"
    assert 0.9 <= time.monotonic() - before < 5


@pytest.mark.parametrize(
    "limit",
    [
        refusal(403, "API rate limit exceeded", X_RateLimit_Reset="4102444800", X_RateLimit_Remaining="0"),
        refusal(429, "Too many", X_RateLimit_Reset="4102444800", X_RateLimit_Remaining="0"),
        refusal(429, "Too many", Retry_After="3600"),
        refusal(403, "You have exceeded a secondary rate limit.", Retry_After="3600"),
    ],
)
def test_rate_limit_beyond_the_maximum_wait_is_an_error(script: Script, limit: Any) -> None:
    """A limit that resets later than `max_wait` is reported without waiting."""
    script.on("GET", "/labels/x", limit)
    with pytest.raises(GitHubError, match=r"rate limit is used up and resets in more than 5 s .*run this again later"):
        script.github().run("looking", colour)
    assert script.count("GET", "/labels/x") == 1


@pytest.mark.parametrize(
    ("refused", "message"),
    [
        (refusal(401, "Bad credentials"), "rejects the token .*GITHUB_TOKEN, it may have expired"),
        (refusal(404, "Not Found"), "404: .*check that o/r exists and that the token may do this"),
        (refusal(403, "Resource not accessible by integration"), "403: .*grant the job that permission"),
        (
            refusal(403, "GitHub Actions is not permitted to create or approve pull requests."),
            'switch on "Allow GitHub Actions to create and approve pull requests"',
        ),
        (
            answer({"message": "Validation Failed", "errors": [{"field": "head", "code": "invalid"}, "no"]}, 422),
            "answered 422: Validation Failed head invalid no$",
        ),
    ],
)
def test_client_error_is_not_retried(script: Script, refused: Any, message: str) -> None:
    """The request is sent once; the error is one line with the next step and without the token."""
    script.on("POST", "/issues", refused)
    with pytest.raises(GitHubError, match=message) as caught:
        script.github().run("opening", create)
    assert script.count("POST", "/issues") == 1
    assert "\n" not in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_run_retries_until_the_server_is_back() -> None:
    """A refused connection is retried like any outage; the server starts during the second pause."""
    with serving(Script().on("GET", "/labels/x", answer(LABEL))) as script:
        port = int(script.url.rsplit(":", 1)[1])
    pauses: list[float] = []
    with ExitStack() as servers:

        def start_server(pause: float) -> None:
            pauses.append(pause)
            if len(pauses) == 2:
                servers.enter_context(serving(script, port))

        github = script.github(replace(RETRY_POLICY, attempts=10, sleep=start_server))
        assert github.run("looking", colour) == "aabbcc"
    assert len(pauses) == 2


def test_unreachable_server_is_an_error(script: Script) -> None:
    """The error has the URL and the number of attempts."""
    with serving(Script()) as gone:
        pass
    with pytest.raises(GitHubError, match=rf"GitHub at {gone.url}/api/v3 gave no usable response after 2 attempts"):
        gone.github(replace(RETRY_POLICY, attempts=2)).run("looking", colour)


def test_run_waits_three_minutes_for_an_outage() -> None:
    """The pauses double up to one minute and add up to two to four minutes."""
    retry = RetryPolicy()
    pauses = [min(retry.backoff * 2**n, retry.max_backoff) for n in range(1, retry.attempts - 1)]
    assert 120 <= sum(pauses) <= 240


def test_every_page_is_read(script: Script) -> None:
    """The bot's comment on the second page is found and not written again."""
    ours = {
        "id": 250,
        "url": f"{script.url}{PREFIX}/issues/comments/250",
        "html_url": "here",
        "body": f"{comments.marker_line('plan')}\nbody",
        "user": {"login": "github-actions[bot]", "type": "Bot"},
        "author_association": "NONE",
    }
    others = [ours | {"id": number, "body": "hello"} for number in range(100)]
    following = f'<{script.url}{PREFIX}/issues/1/comments?per_page=100&page=2>; rel="next"'
    script.on("GET", "/issues/1/comments", answer(others, Link=following), answer([*others, ours]))
    found = comments.upsert(script.github(), 1, "plan", "body")
    assert (found.id, found.state) == (250, "kept")
    assert [each[0] for each in script.asked] == ["GET", "GET"]
