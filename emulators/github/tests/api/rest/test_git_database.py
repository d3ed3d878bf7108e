"""REST: the Git database, history, branches and their protection."""

from __future__ import annotations

from typing import Any

from github import InputGitTreeElement
from local_github.domain.branch_protection import protect
from rest_calls import refusal


def test_commit_is_built_from_git_objects(emulator: Any, clone: Any) -> None:
    """PyGithub creates a blob, a tree on a base tree, a commit and a ref."""
    api = emulator.api()
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
    git = emulator.github.state.find("acme", "fraud").git
    assert git.show("built", "new/hi.txt") == b"hi"
    assert git.show("built", "README.md") is None
    assert git.show("built", "model-config/gate.yaml") is not None
    paths = {item.path for item in api.get_git_tree("built", recursive=True).tree}
    assert {"new", "new/hi.txt", "text.txt"} <= paths


def test_tree_refuses_invalid_paths(emulator: Any, clone: Any) -> None:
    """`..` and .git are 422."""
    for path in ("../evil", ".git/config"):
        element = InputGitTreeElement(path, "100644", "blob", content="x")
        assert "malformed path" in refusal(lambda e=element: emulator.api().create_git_tree([e]), 422)


def test_ref_update_must_be_a_fast_forward(emulator: Any, clone: Any, branch: Any) -> None:
    """`force` allows other updates; each update is a push."""
    sha = branch("topic")
    api = emulator.api()
    main = api.get_branch("main").commit.sha
    emulator.events.clear()
    ref = api.create_git_ref("refs/heads/other", main)
    assert "already exists" in refusal(lambda: api.create_git_ref("refs/heads/other", main), 422)
    refusal(lambda: api.create_git_ref("heads", main), 422)
    refusal(lambda: api.create_git_ref("refs/heads/absent", "0" * 40), 422)
    ref.edit(sha)
    assert "not a fast forward" in refusal(lambda: ref.edit(main), 422)
    ref.edit(main, force=True)
    ref.delete()
    refusal(lambda: api.get_git_ref("heads/other"), 404)
    assert [event.payload["forced"] for event in emulator.named("push")] == [False, False, True, False]


def test_history_is_listed_and_compared(emulator: Any, clone: Any, branch: Any) -> None:
    """Commits are listed by path and branch; a comparison counts the commits of both sides."""
    branch("topic", {"topic.txt": "1\n"}, "Topic")
    clone.commit({"README.md": "# Changed\n"}, "Main")
    clone.push("main")
    api = emulator.api()
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


def test_branch_protection_is_set_and_read(emulator: Any, clone: Any) -> None:
    """The rule is returned in GitHub's form and can be removed."""
    branch = emulator.api().get_branch("main")
    assert not branch.protected
    branch.edit_protection(strict=True, contexts=["acme/ci"], enforce_admins=False, required_approving_review_count=1)
    found = branch.get_protection()
    assert found.required_status_checks.contexts == ["acme/ci"]
    assert found.required_pull_request_reviews.required_approving_review_count == 1
    assert emulator.api().get_branch("main").protected
    branch.remove_protection()
    assert "Branch not protected" in refusal(branch.get_protection, 404)


def test_api_respects_branch_protection(emulator: Any, clone: Any) -> None:
    """A workflow token cannot write a protected branch through contents or refs."""
    protect(emulator.github.state.find("acme", "fraud"), "main", required_pull_request_reviews={})
    api = emulator.api(emulator.workflow_token(contents="write"))
    before = api.get_branch("main").commit.sha
    assert "through a pull request" in refusal(lambda: api.create_file("x", "m", "c"), 409)
    refusal(lambda: api.get_git_ref("heads/main").delete(), 422)
    assert api.get_branch("main").commit.sha == before
    assert emulator.named("push") == []
