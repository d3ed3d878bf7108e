"""REST: permissions and error responses."""

from __future__ import annotations

from typing import Any

import pytest
from github import Auth, Github, GithubException
from rest_calls import refusal, request

GRANTS = [
    ("POST", "/issues", {"title": "t"}, "issues"),
    ("POST", "/issues/1/comments", {"body": "b"}, "issues"),
    ("POST", "/issues/1/labels", {"labels": ["bug"]}, "issues"),
    ("POST", "/labels", {"name": "n"}, "issues"),
    ("POST", "/pulls", {"title": "t", "head": "two", "base": "main"}, "pull-requests"),
    ("PATCH", "/pulls/2", {"title": "t"}, "pull-requests"),
    ("PUT", "/pulls/2/merge", {}, "contents"),
    ("POST", "/git/refs", {"ref": "refs/heads/x", "sha": "MAIN"}, "contents"),
    ("PUT", "/contents/x", {"message": "m", "content": "eA=="}, "contents"),
    ("POST", "/dispatches", {"event_type": "e"}, "contents"),
    ("POST", "/statuses/MAIN", {"state": "success"}, "statuses"),
    ("POST", "/deployments", {"ref": "main", "required_contexts": []}, "deployments"),
    ("POST", "/check-runs", {"name": "n", "head_sha": "MAIN"}, "checks"),
    ("POST", "/actions/variables", {"name": "n", "value": "v"}, "variables"),
]


PERMISSIONS = ("actions", "checks", "contents", "deployments", "id-token", "issues", "pull-requests", "statuses")


@pytest.mark.parametrize("route", GRANTS, ids=[f"{m} {p}" for m, p, _, _ in GRANTS])
def test_route_needs_its_permission(emulator: Any, branch: Any, route: tuple[str, str, dict[str, Any], str]) -> None:
    """Other permissions are 403, no token is 401, the right permission succeeds."""
    method, path, body, permission = route
    branch("one")
    branch("two")
    api = emulator.api()
    api.create_issue("T")
    api.create_pull(base="main", head="one", title="T")
    main = api.get_branch("main").commit.sha
    path, body = path.replace("MAIN", main), {k: main if v == "MAIN" else v for k, v in body.items()}
    # pull-requests also allows comments and labels, so it is not tested as a wrong permission for the issue routes.
    others = {
        name: "write"
        for name in PERMISSIONS
        if name != permission and (permission, name) != ("issues", "pull-requests")
    }
    weak = emulator.github.token(
        "github-actions[bot]", permissions={**others, permission: "read"}, repository="acme/fraud"
    )
    strong = emulator.github.token("github-actions[bot]", permissions={permission: "write"}, repository="acme/fraud")
    status, answer, _ = request(emulator, method, path, body)
    assert (status, answer["message"]) == (401, "Requires authentication")
    status, answer, _ = request(emulator, method, path, body, weak)
    assert (status, answer["message"]) == (403, "Resource not accessible by integration")
    assert request(emulator, method, path, body, strong)[0] in {200, 201, 204}


def test_wrong_token_is_401_for_public_data(emulator: Any, clone: Any) -> None:
    """The body has GitHub's message, documentation and status."""
    status, answer, _ = request(emulator, "GET", "", None, "ghp_wrong")
    assert (status, answer["message"], answer["status"]) == (401, "Bad credentials", "401")
    assert "documentation_url" in answer


def test_private_repository_is_404_without_access(emulator: Any) -> None:
    """A token of the repository still needs the permission to read."""
    emulator.github.create_repository("acme/secret", private=True)
    emulator.github.state.find("acme", "secret").issues.clear()
    stranger = emulator.token("eve", repository="eve/x")
    with pytest.raises(GithubException) as caught:
        emulator.api(stranger, "acme/secret")
    assert caught.value.status == 404
    weak = emulator.github.token("github-actions[bot]", permissions={"contents": "read"}, repository="acme/secret")
    api = emulator.api(weak, "acme/secret")
    assert "not accessible by integration" in refusal(lambda: api.get_issues()[0], 403)


def test_unknown_routes_and_methods_are_404(emulator: Any, clone: Any) -> None:
    """The body is GitHub's JSON."""
    for method, path in (("GET", "/nonsense"), ("DELETE", "/pulls"), ("GET", "/pulls/abc")):
        status, answer, _ = request(emulator, method, path, None, emulator.token())
        assert (status, answer["message"]) == (404, "Not Found")


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "\x00"])
def test_body_that_is_not_an_object_is_400(emulator: Any, clone: Any, body: str) -> None:
    """The message is "Problems parsing JSON"."""
    status, answer, _ = request(emulator, "POST", "/issues", body, emulator.token())
    assert (status, answer["message"]) == (400, "Problems parsing JSON")


@pytest.mark.parametrize("value", [1, ["x"], {"a": 1}])
def test_field_of_the_wrong_type_is_422(emulator: Any, clone: Any, value: Any) -> None:
    """A title must be a string."""
    assert request(emulator, "POST", "/issues", {"title": value}, emulator.token())[0] == 422


def test_get_user_needs_a_user_token(emulator: Any, clone: Any) -> None:
    """A workflow token gets 403."""
    person = Github(base_url=emulator.github.api_url, auth=Auth.Token(emulator.token()), retry=None)
    assert person.get_user().login == "alice"
    bot = Github(base_url=emulator.github.api_url, auth=Auth.Token(emulator.workflow_token()), retry=None)
    refusal(lambda: bot.get_user().login, 403)
    assert person.get_rate_limit().rate.remaining > 0
