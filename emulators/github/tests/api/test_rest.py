"""The REST API through PyGithub and plain HTTP: Git's objects, contents, issues, statuses, deployments, refusals."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from github import Auth, Github, GithubException, InputGitTreeElement
from local_github.api.rest.repositories import protect


def ask(world: Any, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any, Any]:
    """One request as it is, below /api/v3/repos/acme/fraud: status, JSON, headers."""
    address = urlsplit(world.github.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, str | None) else json.dumps(body)
    connection.request(method, f"/api/v3/repos/acme/fraud{path}", data, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if text else None, answer.headers


def refused(call: Any, status: int) -> str:
    """The message of a call that GitHub refuses with this status."""
    with pytest.raises(GithubException) as caught:
        call()
    assert caught.value.status == status, caught.value
    return f"{caught.value.data.get('message')} {caught.value.data.get('errors', '')}"


# -- Git


def test_contents_are_created_changed_and_deleted_with_commits(world: Any, clone: Any) -> None:
    """Each is a commit on the branch and a push; a stale sha is 409, a missing one 422."""
    api = world.api()
    made = api.create_file("notes/a b.md", "Add", "one\n", branch="main")
    assert api.get_contents("notes/a b.md").decoded_content == b"one\n"
    assert made["commit"].author.name == "alice"
    refused(lambda: api.create_file("notes/a b.md", "Again", "two\n"), 422)
    refused(lambda: api.update_file("notes/a b.md", "Stale", "two\n", "0" * 40), 409)
    changed = api.update_file("notes/a b.md", "Change", "two\n", made["content"].sha)
    api.delete_file("notes/a b.md", "Remove", changed["content"].sha)
    refused(lambda: api.get_contents("notes/a b.md"), 404)
    assert [event.payload["head_commit"]["message"] for event in world.named("push")] == ["Add", "Change", "Remove"]
    assert [item.path for item in api.get_contents("model-config")] == ["model-config/gate.yaml"]


@pytest.mark.parametrize("path", ["../x", "a/../../x", ".git/config", "a//b", "x/.git/hooks/update"])
def test_contents_are_never_written_outside_the_tree(world: Any, clone: Any, path: str) -> None:
    """Git refuses such names in a tree, and so does the API."""
    token = world.token()
    status, _, _ = ask(world, "PUT", f"/contents/{path}", {"message": "m", "content": "eA=="}, token)
    assert status in {404, 422}
    assert world.named("push") == []


def test_commit_is_built_from_objects(world: Any, clone: Any) -> None:
    """Blob, tree on a base tree, commit, ref: as PyGithub does it for a bot's branch."""
    api = world.api()
    head = api.get_git_ref("heads/main").object.sha
    blob = api.create_git_blob("aGk=", "base64")
    elements = [
        InputGitTreeElement("new/hi.txt", "100644", "blob", sha=blob.sha),
        InputGitTreeElement("text.txt", "100644", "blob", content="text"),
        InputGitTreeElement("README.md", "100644", "blob", sha=None),
    ]
    tree = api.create_git_tree(elements, api.get_git_tree(head))
    commit = api.create_git_commit("Build", tree, [api.get_git_commit(head)])
    api.create_git_ref("refs/heads/built", commit.sha)
    git = world.github.state.find("acme", "fraud").git
    assert git.show("built", "new/hi.txt") == b"hi"
    assert git.show("built", "README.md") is None
    assert git.show("built", "model-config/gate.yaml") is not None
    paths = {item.path for item in api.get_git_tree("built", recursive=True).tree}
    assert {"new", "new/hi.txt", "text.txt"} <= paths


def test_tree_refuses_paths_that_leave_it(world: Any, clone: Any) -> None:
    """422 for `..` and for .git."""
    for path in ("../evil", ".git/config"):
        element = InputGitTreeElement(path, "100644", "blob", content="x")
        assert "malformed path" in refused(lambda e=element: world.api().create_git_tree([e]), 422)


def test_refs_move_forward_unless_forced(world: Any, clone: Any, branch: Any) -> None:
    """Created once, updated fast-forward, forced on demand, deleted; each is a push."""
    sha = branch("topic")
    api = world.api()
    main = api.get_branch("main").commit.sha
    world.events.clear()
    ref = api.create_git_ref("refs/heads/other", main)
    assert "already exists" in refused(lambda: api.create_git_ref("refs/heads/other", main), 422)
    refused(lambda: api.create_git_ref("heads", main), 422)
    refused(lambda: api.create_git_ref("refs/heads/absent", "0" * 40), 422)
    ref.edit(sha)
    assert "not a fast forward" in refused(lambda: ref.edit(main), 422)
    ref.edit(main, force=True)
    ref.delete()
    refused(lambda: api.get_git_ref("heads/other"), 404)
    assert [event.payload["forced"] for event in world.named("push")] == [False, False, True, False]


def test_history_is_listed_and_compared(world: Any, clone: Any, branch: Any) -> None:
    """Commits by path and branch; a comparison says how far apart two ends are."""
    branch("topic", {"topic.txt": "1\n"}, "Topic")
    clone.commit({"README.md": "# Changed\n"}, "Main")
    clone.push("main")
    api = world.api()
    assert [commit.commit.message for commit in api.get_commits()] == ["Main", "First"]
    assert [commit.commit.message for commit in api.get_commits(path="model-config/gate.yaml")] == ["First"]
    assert api.get_commits(sha="topic").totalCount == 2
    compared = api.compare("main", "topic")
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("diverged", 1, 1)
    assert [file.filename for file in compared.files] == ["topic.txt"]
    commit = api.get_commit("topic")
    assert (commit.stats.additions, commit.files[0].patch) == (1, "@@ -0,0 +1 @@\n+1")
    merged = api.merge("main", "topic", "Bring it in")
    assert merged is not None
    assert len(merged.parents) == 2


def test_branches_and_protection(world: Any, clone: Any) -> None:
    """Protection is put and read back in GitHub's shape, and taken off."""
    branch = world.api().get_branch("main")
    assert not branch.protected
    branch.edit_protection(
        strict=True, contexts=["fraudops/ci"], enforce_admins=False, required_approving_review_count=1
    )
    found = branch.get_protection()
    assert found.required_status_checks.contexts == ["fraudops/ci"]
    assert found.required_pull_request_reviews.required_approving_review_count == 1
    assert world.api().get_branch("main").protected
    branch.remove_protection()
    assert "Branch not protected" in refused(branch.get_protection, 404)


def test_api_respects_protection(world: Any, clone: Any) -> None:
    """A workflow can no more write a protected branch through contents and refs than by a push."""
    protect(world.github.state.find("acme", "fraud"), "main", required_pull_request_reviews={})
    api = world.api(world.workflow(contents="write"))
    before = api.get_branch("main").commit.sha
    assert "through a pull request" in refused(lambda: api.create_file("x", "m", "c"), 409)
    refused(lambda: api.get_git_ref("heads/main").delete(), 422)
    assert api.get_branch("main").commit.sha == before
    assert world.named("push") == []


# -- issues, comments, labels


def test_issue_lives(world: Any, clone: Any) -> None:
    """Opened with labels, commented, edited, closed and reopened; each is an event."""
    api = world.api()
    issue = api.create_issue("Gate missed", "0.58 < 0.60", labels=["training", "bug"])
    assert {label.name for label in issue.labels} == {"training", "bug"}
    comment = issue.create_comment("First")
    comment.edit("Second")
    assert [item.body for item in issue.get_comments()] == ["Second"]
    comment.delete()
    assert issue.get_comments().totalCount == 0
    issue.remove_from_labels("bug")
    issue.add_to_labels("drift")
    issue.edit(title="New", state="closed", state_reason="not_planned")
    assert (issue.title, issue.state, issue.state_reason) == ("New", "closed", "not_planned")
    issue.edit(state="open")
    actions = [(event.name, event.action) for event in world.events]
    assert actions == [
        ("issues", "opened"), ("issues", "labeled"), ("issues", "labeled"), ("issue_comment", "created"),
        ("issues", "unlabeled"), ("issues", "labeled"), ("issues", "closed"), ("issues", "reopened"),
    ]  # fmt: skip
    assert [item.number for item in api.get_issues(labels=["drift"])] == [1]
    assert api.get_issues(labels=["bug"]).totalCount == 0
    refused(lambda: issue.create_comment(" "), 422)
    refused(lambda: api.get_issue(9), 404)
    refused(lambda: issue.remove_from_labels("absent"), 404)


def test_labels_are_kept(world: Any, clone: Any) -> None:
    """Made once, renamed on every issue, deleted from them."""
    api = world.api()
    label = api.create_label("approval", "00ff00", "Serves when merged")
    assert "already_exists" in refused(lambda: api.create_label("Approval", "00ff00"), 422)
    refused(lambda: api.create_label("other", "green"), 422)
    issue = api.create_issue("T", labels=["approval"])
    label.edit("serve", "ff0000")
    issue.update()
    assert [item.name for item in issue.labels] == ["serve"]
    api.get_label("serve").delete()
    issue.update()
    assert issue.labels == []


def test_search_finds_issues_and_refuses_what_it_does_not_know(world: Any, clone: Any) -> None:
    """Qualifiers and words; an unknown qualifier is 422 and no wrong answer."""
    world.api().create_issue("Gate missed on Monday", labels=["training"])
    world.api().create_issue("Something else")
    client = Github(base_url=world.github.api_url, auth=Auth.Token(world.token()), retry=None)
    found = client.search_issues("repo:acme/fraud is:issue is:open label:training gate")
    assert [issue.number for issue in found] == [1]
    assert client.search_issues("repo:acme/fraud -label:training").totalCount == 1
    refused(lambda: list(client.search_issues("reactions:>5")), 422)


def test_lists_are_paged_by_links(world: Any, clone: Any) -> None:
    """PyGithub follows Link headers through 65 issues; the headers name first, previous, next and last."""
    repository, api = world.github.state.find("acme", "fraud"), world.api()
    for number in range(65):
        api.create_issue(f"Issue {number}")
    assert len(repository.issues) == 65
    assert len({issue.number for issue in api.get_issues()}) == 65
    _, items, headers = ask(world, "GET", "/issues?per_page=20&page=2&state=all")
    assert len(items) == 20
    links = headers["Link"]
    assert [part.partition('rel="')[2].rstrip('"') for part in links.split(", ")] == ["prev", "first", "next", "last"]
    assert f"<{world.github.api_url}/repos/acme/fraud/issues?state=all&per_page=20&page=4>" in links
    assert ask(world, "GET", "/issues?per_page=100")[2]["Link"] is None
    assert len(ask(world, "GET", "/issues?per_page=1000&page=-3")[1]) == 65


# -- statuses, checks, deployments


def test_last_status_of_each_context_counts(world: Any, clone: Any) -> None:
    """pending, then success: combined is success; a failure elsewhere makes it failure."""
    api = world.api()
    commit = api.get_commit("main")
    assert commit.get_combined_status().state == "pending"
    commit.create_status("pending", "https://example.invalid/run", "Training", "fraudops/training")
    commit.create_status("success", context="fraudops/training")
    assert commit.get_combined_status().state == "success"
    commit.create_status("error", context="other")
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("failure", 2)
    assert commit.get_statuses().totalCount == 3
    refused(lambda: commit.create_status("great"), 422)
    refused(lambda: commit.create_status("success", description="x" * 141), 422)


def test_check_runs_are_an_apps(world: Any, clone: Any) -> None:
    """A person cannot make one; an App makes, completes and lists it."""
    sha = world.api().get_branch("main").commit.sha
    refused(lambda: world.api().create_check_run("ci", sha), 403)
    api = world.api(world.workflow(checks="write"))
    run = api.create_check_run("ci", sha, status="in_progress")
    run.edit(conclusion="success", output={"title": "Fine", "summary": "All."})
    found = api.get_commit(sha).get_check_runs(check_name="ci")
    assert [(item.status, item.conclusion, item.output.title) for item in found] == [("completed", "success", "Fine")]


def test_deployment_goes_through_its_states(world: Any, clone: Any) -> None:
    """A new success makes the environment's last one inactive."""
    api = world.api(world.workflow(deployments="write"))
    first = api.create_deployment("main", environment="production", required_contexts=[], payload={"approval": 1})
    first.create_status("in_progress", description="Waiting")
    first.create_status("success", environment_url="http://example.invalid/")
    second = api.create_deployment("main", environment="production", required_contexts=[])
    second.create_status("success")
    assert [status.state for status in first.get_statuses()] == ["inactive", "success", "in_progress"]
    assert [item.id for item in api.get_deployments(environment="production")] == [second.id, first.id]
    assert first.payload == {"approval": 1}
    assert "Conflict" in refused(lambda: api.create_deployment("main", required_contexts=["absent"]), 409)
    refused(lambda: second.create_status("great"), 422)


# -- dispatch, variables, the rest


def test_repository_dispatch_is_an_event(world: Any, clone: Any) -> None:
    """With its type as action and the payload as sent; a workflow's token may."""
    payload = {"request": "'; rm -rf / #"}
    world.api(world.workflow(contents="write")).create_repository_dispatch("retrain", payload)
    (event,) = world.named("repository_dispatch")
    assert (event.action, event.payload["client_payload"], event.ref) == ("retrain", payload, "refs/heads/main")
    assert event.from_workflow_token
    assert ask(world, "POST", "/dispatches", {"event_type": ""}, world.token())[0] == 422


def test_variables_are_kept_by_upper_case_names(world: Any, clone: Any) -> None:
    """Made, read, changed, deleted; a second of that name is 409."""
    api = world.api()
    made = api.create_variable("fraudops_region", "eu-west-1")
    assert world.github.state.find("acme", "fraud").variables == {"FRAUDOPS_REGION": "eu-west-1"}
    refused(lambda: api.create_variable("FRAUDOPS_REGION", "x"), 409)
    made.edit("eu-north-1")
    assert api.get_variable("FRAUDOPS_REGION").value == "eu-north-1"
    made.delete()
    refused(lambda: api.get_variable("FRAUDOPS_REGION"), 404)


def test_repositorys_settings_change(world: Any, clone: Any) -> None:
    """What can be set is; rebase cannot, and says so."""
    api = world.api()
    api.edit(allow_squash_merge=False, delete_branch_on_merge=True)
    assert (api.allow_squash_merge, api.delete_branch_on_merge) == (False, True)
    refused(lambda: api.edit(allow_rebase_merge=True), 422)


@pytest.mark.parametrize(
    "name", ["acme/..", "acme/.", "../x", "acme/a b", "a/b/c", "acme/x.git", "acme/", "-x/y", "acme/fraud"]
)
def test_names_of_repositories_are_checked(world: Any, name: str) -> None:
    """Nothing but letters, digits, '-', '_' and '.'; nothing that is there already."""
    from local_github.errors import ApiError

    with pytest.raises(ApiError):
        world.github.create_repository(name)


# -- refusals


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
def test_each_route_needs_its_permission(world: Any, branch: Any, route: tuple[str, str, dict[str, Any], str]) -> None:
    """With every other permission 403, anonymously 401, with its own it works."""
    method, path, body, permission = route
    branch("one")
    branch("two")
    api = world.api()
    api.create_issue("T")
    api.create_pull(base="main", head="one", title="T")
    main = api.get_branch("main").commit.sha
    path, body = path.replace("MAIN", main), {k: main if v == "MAIN" else v for k, v in body.items()}
    # A comment and a label may be put on a pull request by pull-requests too, so that is left out for issues' routes.
    others = {
        name: "write"
        for name in PERMISSIONS
        if name != permission and (permission, name) != ("issues", "pull-requests")
    }
    weak = world.github.token(
        "github-actions[bot]", permissions={**others, permission: "read"}, repository="acme/fraud"
    )
    strong = world.github.token("github-actions[bot]", permissions={permission: "write"}, repository="acme/fraud")
    status, answer, _ = ask(world, method, path, body)
    assert (status, answer["message"]) == (401, "Requires authentication")
    status, answer, _ = ask(world, method, path, body, weak)
    assert (status, answer["message"]) == (403, "Resource not accessible by integration")
    assert ask(world, method, path, body, strong)[0] in {200, 201, 204}


def test_wrong_token_is_bad_credentials_even_for_what_is_public(world: Any, clone: Any) -> None:
    """401 with GitHub's message, its documentation and its status in the body."""
    status, answer, _ = ask(world, "GET", "", None, "ghp_wrong")
    assert (status, answer["message"], answer["status"]) == (401, "Bad credentials", "401")
    assert "documentation_url" in answer


def test_private_repository_is_404_to_strangers(world: Any) -> None:
    """And needs the permission to be read at all."""
    world.github.create_repository("acme/secret", private=True)
    world.github.state.find("acme", "secret").issues.clear()
    stranger = world.token("eve", repository="eve/x")
    with pytest.raises(GithubException) as caught:
        world.api(stranger, "acme/secret")
    assert caught.value.status == 404
    weak = world.github.token("github-actions[bot]", permissions={"contents": "read"}, repository="acme/secret")
    api = world.api(weak, "acme/secret")
    assert "not accessible by integration" in refused(lambda: api.get_issues()[0], 403)


def test_unknown_routes_and_methods_are_404(world: Any, clone: Any) -> None:
    """As GitHub says, with JSON."""
    for method, path in (("GET", "/nonsense"), ("DELETE", "/pulls"), ("GET", "/pulls/abc")):
        status, answer, _ = ask(world, method, path, None, world.token())
        assert (status, answer["message"]) == (404, "Not Found")


@pytest.mark.parametrize("body", ["{", "[]", '"x"', "\x00"])
def test_body_that_is_no_object_is_400(world: Any, clone: Any, body: str) -> None:
    """Problems parsing JSON."""
    status, answer, _ = ask(world, "POST", "/issues", body, world.token())
    assert (status, answer["message"]) == (400, "Problems parsing JSON")


@pytest.mark.parametrize("value", [1, ["x"], {"a": 1}])
def test_fields_of_another_type_are_422(world: Any, clone: Any, value: Any) -> None:
    """A title is text."""
    assert ask(world, "POST", "/issues", {"title": value}, world.token())[0] == 422


def test_outage_can_be_staged(world: Any, clone: Any) -> None:
    """The next calls fail as asked for, as by a secondary rate limit; then all is well. Git is not hit."""
    world.github.fail_api(1)
    world.github.fail_api(1, status=403, message="You have exceeded a secondary rate limit.", Retry_After="1")
    assert clone.git("ls-remote", world.url(None)).returncode == 0
    assert ask(world, "GET", "")[0] == 503
    status, answer, headers = ask(world, "GET", "")
    assert (status, headers["Retry-After"]) == (403, "1")
    assert "secondary rate limit" in answer["message"]
    assert ask(world, "GET", "")[0] == 200


def test_bot_has_no_user_page(world: Any, clone: Any) -> None:
    """GET /user is a person's; a workflow's token is refused, as on GitHub."""
    person = Github(base_url=world.github.api_url, auth=Auth.Token(world.token()), retry=None)
    assert person.get_user().login == "alice"
    bot = Github(base_url=world.github.api_url, auth=Auth.Token(world.workflow()), retry=None)
    refused(lambda: bot.get_user().login, 403)
    assert person.get_rate_limit().rate.remaining > 0
