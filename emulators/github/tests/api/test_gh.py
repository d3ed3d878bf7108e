"""The real gh against the emulator: the commands that a person types, over GraphQL and REST."""

from __future__ import annotations

import json
from typing import Any

from local_github.domain.branch_protection import protect
from rest_calls import request


def test_gh_pr_commands(emulator: Any, clone: Any, branch: Any, gh: Any) -> None:
    """create, list, view, comment, edit, review, diff, checkout and merge work."""
    branch("topic", {"model-config/gate.yaml": "min_recall: 0.7\n"}, "Raise the gate")
    url = gh("pr", "create", "--head", "topic", "--title", "Raise <the> gate", "--body", "Why: | a | table |").stdout
    assert url.strip() == "http://github.localhost/acme/fraud/pull/1"
    assert "1\tRaise <the> gate\ttopic\tOPEN" in gh("pr", "list").stdout
    gh("pr", "comment", "1", "--body", "Looks right.")
    gh("pr", "edit", "1", "--title", "Raise the gate", "--add-label", "bug", "--add-reviewer", "bob")
    gh("pr", "review", "1", "--comment", "--body", "Fine.")
    view = gh("pr", "view", "1", "--comments").stdout
    assert "Looks right." in view
    assert "Fine." in view
    assert "+min_recall: 0.7" in gh("pr", "diff", "1").stdout
    fields = "number,title,state,mergeable,mergeStateStatus,files,labels,commits,author,reviews,isCrossRepository"
    shown = json.loads(gh("pr", "view", "1", "--json", fields).stdout)
    assert (shown["state"], shown["mergeable"], shown["mergeStateStatus"]) == ("OPEN", "MERGEABLE", "CLEAN")
    assert [file["path"] for file in shown["files"]] == ["model-config/gate.yaml"]
    assert [label["name"] for label in shown["labels"]] == ["bug"]
    gh("pr", "checkout", "1")
    assert clone.git("rev-parse", "--abbrev-ref", "HEAD").stdout.strip() == "topic"
    gh("pr", "merge", "1", "--merge", "--delete-branch")
    git = emulator.github.state.find("acme", "fraud").git
    assert git.commit("main").subject == "Merge pull request #1 from acme/topic"
    assert git.branch("topic") is None
    merged = json.loads(gh("pr", "view", "1", "--json", "state,mergedBy,mergeCommit").stdout)
    assert (merged["state"], merged["mergedBy"]["login"]) == ("MERGED", "alice")
    assert merged["mergeCommit"]["oid"] == git.branch("main")


def test_second_pull_request_of_a_branch_is_refused(emulator: Any, branch: Any, gh: Any) -> None:
    """gh prints the address of the first."""
    branch("topic")
    arguments = ("pr", "create", "--head", "topic", "--title", "T", "--body", "B")
    gh(*arguments)
    process = gh(*arguments, check=False)
    assert process.returncode == 1
    assert "already exists" in process.stderr
    assert "/acme/fraud/pull/1" in process.stderr


def test_gh_pr_list_filters(emulator: Any, branch: Any, gh: Any) -> None:
    """Lists are filtered by state, author, head, label and words."""
    for name in ("a", "b"):
        branch(name)
        emulator.api().create_pull(base="main", head=name, title=f"Title {name}")
    gh("pr", "edit", "1", "--add-label", "bug")
    gh("pr", "close", "2")

    def numbers(*arguments: str) -> list[int]:
        found = gh("pr", "list", *arguments, "--json", "number").stdout
        return [item["number"] for item in json.loads(found)]

    assert numbers() == [1]
    assert numbers("--state", "all") == [2, 1]
    assert numbers("--state", "closed") == [2]
    assert numbers("--head", "a") == [1]
    assert numbers("--author", "@me", "--state", "all") == [2, 1]
    assert numbers("--search", "is:open label:bug") == [1]
    assert numbers("--label", "bug", "--state", "all") == [1]
    gh("pr", "reopen", "2")
    assert numbers() == [2, 1]
    assert "Title" in gh("pr", "status").stdout


def test_gh_pr_checks(emulator: Any, branch: Any, gh: Any) -> None:
    """Exit codes are 8 for pending, 1 for failed, 0 for passed checks."""
    sha = branch("topic")
    api = emulator.api()
    api.create_pull(base="main", head="topic", title="T")
    commit = api.get_commit(sha)
    commit.create_status("pending", "http://example.invalid/", "Running", "acme/ci")
    assert gh("pr", "checks", "1", check=False).returncode == 8
    commit.create_status("failure", context="acme/ci")
    assert gh("pr", "checks", "1", check=False).returncode == 1
    commit.create_status("success", context="acme/ci")
    emulator.api(emulator.workflow_token(checks="write")).create_check_run("job", sha, conclusion="success")
    assert gh("pr", "checks", "1").stdout.count("pass") == 2
    rollup = json.loads(gh("pr", "view", "1", "--json", "statusCheckRollup").stdout)["statusCheckRollup"]
    assert {item.get("context") or item["name"] for item in rollup} == {"acme/ci", "job"}


def test_gh_pr_merge_respects_branch_protection(emulator: Any, branch: Any, gh: Any) -> None:
    """gh reads the state BLOCKED and exits with 1."""
    branch("topic")
    emulator.api().create_pull(base="main", head="topic", title="T")
    checks = {"strict": False, "contexts": ["acme/ci"]}
    protect(emulator.github.state.find("acme", "fraud"), "main", required_status_checks=checks, enforce_admins=True)
    process = gh("pr", "merge", "1", "--merge", check=False)
    assert process.returncode == 1
    assert "the base branch policy prohibits the merge" in process.stderr


def test_gh_issue_commands(emulator: Any, gh: Any) -> None:
    """create, list, view, comment, edit, close, reopen and status work."""
    assert (
        gh("issue", "create", "--title", "Gate failed", "--body", "0.58", "--label", "bug")
        .stdout.strip()
        .endswith("/1")
    )
    gh("issue", "comment", "1", "--body", "Again.")
    gh("issue", "edit", "1", "--add-label", "enhancement", "--title", "Gate failed twice")
    assert "Again." in gh("issue", "view", "1", "--comments").stdout
    gh("issue", "close", "1", "--comment", "Done.", "--reason", "not planned")
    listed = json.loads(gh("issue", "list", "--state", "all", "--json", "number,title,state,labels,comments").stdout)
    assert (listed[0]["title"], listed[0]["state"], len(listed[0]["comments"])) == ("Gate failed twice", "CLOSED", 2)
    gh("issue", "reopen", "1")
    assert "Gate failed twice" in gh("issue", "status").stdout


def test_gh_repo_commands(emulator: Any, gh: Any) -> None:
    """repo view, clone and list, label and variable work."""
    assert "acme/fraud" in gh("repo", "view").stdout
    shown = json.loads(gh("repo", "view", "--json", "nameWithOwner,defaultBranchRef,mergeCommitAllowed").stdout)
    assert (shown["nameWithOwner"], shown["defaultBranchRef"]["name"]) == ("acme/fraud", "main")
    target = emulator.folder / "cloned"
    gh("repo", "clone", "acme/fraud", str(target))
    assert (target / "README.md").exists()
    assert "acme/fraud" in gh("repo", "list", "acme").stdout
    gh("label", "create", "approval", "--color", "00ff00")
    assert "approval" in gh("label", "list").stdout
    gh("variable", "set", "MODEL_REGION", "--body", "eu-west-1")
    assert "eu-west-1" in gh("variable", "list").stdout


def test_gh_api_paginates(emulator: Any, gh: Any) -> None:
    """REST pages and GraphQL connections with variables and aliases are followed."""
    for number in range(5):
        emulator.api().create_issue(f"Issue {number}")
    numbers = gh("api", "repos/acme/fraud/issues?per_page=2", "--paginate", "--jq", ".[].number").stdout.split()
    assert numbers == ["5", "4", "3", "2", "1"]
    query = """query($n: Int!, $endCursor: String) { repository(owner: "acme", name: "fraud") {
        all: issues(first: $n, after: $endCursor) { totalCount nodes { number } pageInfo { hasNextPage endCursor } }
    } }"""
    arguments = ("-F", "n=2", "-f", f"query={query}", "--jq", ".data.repository.all.nodes[].number")
    pages = gh("api", "graphql", "--paginate", *arguments).stdout
    assert sorted(pages.split()) == ["1", "2", "3", "4", "5"]


def test_graphql_errors_are_githubs(emulator: Any, branch: Any, gh: Any) -> None:
    """An unknown field, an unknown repository and a missing permission are errors, and gh exits non-zero."""
    branch("topic")
    unknown = gh("api", "graphql", "-f", "query={ viewer { shoeSize } }", check=False)
    assert "Cannot query field 'shoeSize'" in unknown.stdout + unknown.stderr
    absent = gh("repo", "view", "acme/absent", check=False)
    assert "Could not resolve to a Repository with the name 'acme/absent'." in absent.stderr
    weak = emulator.workflow_token(contents="write", issues="write")
    process = gh("pr", "create", "--head", "topic", "--title", "T", "--body", "B", token=weak, check=False)
    assert "Resource not accessible by integration" in process.stderr
    strong = emulator.workflow_token(contents="write", pull_requests="write")
    gh("pr", "create", "--head", "topic", "--title", "T", "--body", "B", token=strong)
    assert "HTTP 401" in gh("pr", "list", token="ghp_wrong", check=False).stderr


def test_gh_pr_checkout_of_a_fork(emulator: Any, clone: Any, gh: Any) -> None:
    """gh fetches refs/pull/N/head."""
    token = emulator.token("mallory", repository="mallory/fraud")
    emulator.api(token).create_fork()
    clone.git("checkout", "--quiet", "-b", "theirs")
    sha = clone.commit({"theirs.txt": "1"})
    clone.git("push", "--quiet", emulator.url(token, "mallory/fraud"), "theirs")
    clone.git("checkout", "--quiet", "main")
    clone.git("branch", "--quiet", "-D", "theirs")
    emulator.api(token).create_pull(base="main", head="mallory:theirs", title="T")
    gh("pr", "checkout", "1")
    assert clone.git("rev-parse", "HEAD").stdout.strip() == sha


def test_gh_pr_merge_adds_to_a_merge_queue(emulator: Any, branch: Any, gh: Any) -> None:
    """gh finds the queue of the base and asks for it; the pull request merges after its checks."""
    body = {
        "name": "queue",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {"type": "merge_queue"},
            {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "acme/ci"}]}},
        ],
    }
    gh("api", "repos/acme/fraud", "--method", "PATCH", "--field", "allow_auto_merge=true")
    assert request(emulator, "POST", "/rulesets", body, emulator.token())[0] == 201
    head = branch("topic")
    api = emulator.api()
    api.create_pull(base="main", head="topic", title="T")
    assert "is expected" in gh("pr", "merge", "1", check=False).stderr
    api.get_commit(head).create_status("success", context="acme/ci")
    gh("pr", "merge", "1")
    fields = json.loads(gh("api", "graphql", "-f", f"query={_QUEUED}").stdout)["data"]["repository"]["pullRequest"]
    assert (fields["isMergeQueueEnabled"], fields["isInMergeQueue"]) == (True, True)
    entry = fields["mergeQueueEntry"]
    assert (entry["position"], entry["state"], entry["enqueuer"]["login"]) == (1, "AWAITING_CHECKS", "alice")
    api.get_commit(entry["headCommit"]["oid"]).create_status("success", context="acme/ci")
    assert json.loads(gh("pr", "view", "1", "--json", "state").stdout) == {"state": "MERGED"}


_QUEUED = """{ repository(owner: "acme", name: "fraud") { pullRequest(number: 1) {
  isMergeQueueEnabled isInMergeQueue mergeQueueEntry { position state enqueuer { login } headCommit { oid } }
} } }"""
