"""The client's retry: what is asked again and what is not, how long, and what is said in the end."""

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
    """A GitHub that knows nothing yet."""
    with serving(Script()) as made:
        yield made


def colour(repository: Repository) -> str:
    """An operation of one GET."""
    return repository.get_label("x").color


def create(repository: Repository) -> int:
    """An operation of one POST."""
    return repository.create_issue("t").number


def test_it_asks_the_api_that_the_environment_names(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the token, for the repository; nothing else is needed in a workflow."""
    script.on("GET", "/labels/x", answer(LABEL))
    for name, value in (("API_URL", f"{script.url}/api/v3"), ("REPOSITORY", "o/r"), ("TOKEN", "secret-token")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    assert GitHub.from_environment().run("looking", colour) == "aabbcc"
    assert script.asked == [("GET", "/labels/x", None)]
    assert script.headers[0]["Authorization"] == "token secret-token"


def test_github_itself_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a workflow, a repository and a token are enough; the token is in no text."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token")
    github = GitHub.from_environment()
    assert (github.api_url, github.url, github.owner) == ("https://api.github.com", "https://github.com/o/r", "o")
    assert "secret-token" not in f"{github!r} {github}"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token nothing is asked."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "o/r")
    with pytest.raises(GitHubError, match="GITHUB_TOKEN must be set") as caught:
        GitHub.from_environment()
    assert caught.value.exit_code == 12


@pytest.mark.parametrize("status", [500, 502, 503])
def test_read_is_asked_again(script: Script, status: int) -> None:
    """An outage that ends in time is not noticed."""
    script.on("GET", "/labels/x", refusal(status, "Oops"), refusal(status, "Oops"), answer(LABEL))
    assert script.github().run("looking", colour) == "aabbcc"
    assert script.count("GET", "/labels/x") == 3


def test_read_is_not_asked_for_ever(script: Script) -> None:
    """As often as there is retry; then where, what and what next, in one line."""
    script.on("GET", "/labels/x", refusal(502, "Bad gateway"))
    with pytest.raises(GitHubError, match=r"^looking: GitHub at http\S+ gave no .* 4 attempts .*502.*run this again"):
        script.github().run("looking", colour)
    assert script.count("GET", "/labels/x") == RETRY_POLICY.attempts


def test_write_that_was_lost_starts_its_errand_again(script: Script) -> None:
    """Nobody knows whether it was done: the operation looks first, so nothing is made twice."""
    script.on("POST", "/issues", refusal(502, "Oops"))
    done: list[int] = []

    def operation(repository: Repository) -> int:
        if script.count("POST", "/issues"):
            done.append(1)
            return 7
        return create(repository)

    assert script.github().run("opening", operation) == 7
    assert (script.count("POST", "/issues"), done) == (1, [1])


def test_write_is_tried_as_often_as_a_read(script: Script) -> None:
    """Not the product of both patiences."""
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
    """Reads and writes alike: what a limit turned away was not done."""
    script.on("GET", "/labels/x", limit, answer(LABEL)).on("POST", "/issues", limit, answer(ISSUE, 201))
    assert script.github(replace(RETRY_POLICY, max_wait=120)).run("looking", colour) == "aabbcc"
    assert script.github(replace(RETRY_POLICY, max_wait=120)).run("opening", create) == 1
    assert (script.count("GET", "/labels/x"), script.count("POST", "/issues")) == (2, 2)


@pytest.mark.parametrize("status", [403, 429])
def test_it_waits_as_long_as_it_is_asked_to(script: Script, status: int) -> None:
    """Retry-After counts, not the client's own pauses."""
    script.on("GET", "/labels/x", refusal(status, "secondary rate limit", Retry_After="1"), answer(LABEL))
    before = time.monotonic()
    assert script.github().run("looking", colour) == "aabbcc"
    assert 1 <= time.monotonic() - before < 5


def test_reset_of_a_429_counts(script: Script) -> None:
    """Where GitHub names the second at which the limit ends, that is when it is asked again."""
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
def test_limit_that_lasts_too_long_is_an_error_at_once(script: Script, limit: Any) -> None:
    """A job that would be killed while it waits says so instead."""
    script.on("GET", "/labels/x", limit)
    with pytest.raises(GitHubError, match=r"rate limit is used up and resets in more than 5 s .*run this again later"):
        script.github().run("looking", colour)
    assert script.count("GET", "/labels/x") == 1


@pytest.mark.parametrize(
    ("refused", "said"),
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
def test_refusal_is_said_once_and_with_the_next_move(script: Script, refused: Any, said: str) -> None:
    """Asking again would change nothing."""
    script.on("POST", "/issues", refused)
    with pytest.raises(GitHubError, match=said) as caught:
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


def test_server_that_stays_away_is_an_error(script: Script) -> None:
    """With the address that was tried."""
    with serving(Script()) as gone:
        pass
    with pytest.raises(GitHubError, match=rf"GitHub at {gone.url}/api/v3 gave no usable response after 2 attempts"):
        gone.github(replace(RETRY_POLICY, attempts=2)).run("looking", colour)


def test_run_waits_three_minutes_for_an_outage() -> None:
    """Long enough for most, short enough to leave the job time: the pauses double up to a minute."""
    retry = RetryPolicy()
    pauses = [min(retry.backoff * 2**n, retry.max_backoff) for n in range(1, retry.attempts - 1)]
    assert 120 <= sum(pauses) <= 240


def test_every_page_is_read(script: Script) -> None:
    """Comments on the second page count: ours is found there and not written again."""
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
