"""Pull requests through PyGithub: opened, kept up, merged with real commits, closed; forks, rules, races."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from github import GithubException
from local_github.domain.branch_protection import protect
from rest_calls import refusal


@pytest.fixture
def git(emulator: Any, clone: Any) -> Any:
    """The bare repository behind acme/fraud."""
    return emulator.github.state.find("acme", "fraud").git


def test_merge_creates_githubs_merge_commit(emulator: Any, branch: Any, git: Any) -> None:
    """It has two parents and GitHub's message, author and committer; the branch is kept."""
    head = branch("approve/0001")
    base = git.branch("main")
    pull = emulator.api().create_pull(base="main", head="approve/0001", title="Serve 1", body="Because.")
    assert (pull.number, pull.mergeable, pull.state, pull.commits, pull.changed_files) == (1, True, "open", 1, 1)
    emulator.events.clear()
    result = pull.merge(merge_method="merge")
    commit = git.commit("main")
    assert result.sha == commit.sha
    assert commit.parents == (base, head)
    assert commit.message == "Merge pull request #1 from acme/approve/0001\n\nServe 1"
    assert commit.author.name == "alice"
    assert commit.author.email.endswith("+alice@users.noreply.github.com")
    assert (commit.committer.name, commit.committer.email) == ("GitHub", "noreply@github.com")
    pull.update()
    assert (pull.merged, pull.merged_by.login, pull.merge_commit_sha, pull.state) == (
        True,
        "alice",
        commit.sha,
        "closed",
    )
    assert [(event.name, event.action) for event in emulator.events] == [("pull_request", "closed"), ("push", None)]
    assert emulator.events[1].changed_files == ("approve-0001.txt",)
    assert git.branch("approve/0001") == head


def test_merge_with_message_and_expected_head(emulator: Any, branch: Any, git: Any) -> None:
    """A head other than the expected one is 409."""
    head = branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    assert "Head branch was modified" in refusal(lambda: pull.merge(sha="0" * 40), 409)
    pull.merge(commit_title="Subject", commit_message="Body", sha=head)
    assert git.commit("main").message == "Subject\n\nBody"


def test_squash_merges_and_forbidden_methods_are_405(emulator: Any, branch: Any, git: Any) -> None:
    """A squash commit has one parent."""
    branch("topic")
    api = emulator.api()
    pull = api.create_pull(base="main", head="topic", title="T")
    assert "Rebase merges are not allowed" in refusal(lambda: pull.merge(merge_method="rebase"), 405)
    emulator.github.state.find("acme", "fraud").settings["allow_merge_commit"] = False
    assert "Merge commits are not allowed" in refusal(lambda: pull.merge(merge_method="merge"), 405)
    before = git.branch("main")
    pull.merge(merge_method="squash")
    assert git.commit("main").parents == (before,)
    assert git.commit("main").subject == "T (#1)"


def test_conflicting_pull_request_is_not_mergeable(emulator: Any, clone: Any, branch: Any) -> None:
    """mergeable is false as soon as main conflicts, and true again after the branch is fixed."""
    branch("topic", {"README.md": "one\n"})
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    clone.commit({"README.md": "two\n"})
    clone.push("main")
    pull.update()
    assert pull.mergeable is False
    assert pull.mergeable_state == "dirty"
    assert "not mergeable" in refusal(pull.merge, 405)
    branch("topic", {"README.md": "three\n"})
    pull.update()
    assert pull.mergeable is True


def test_pull_request_events_follow_the_branch(emulator: Any, clone: Any, branch: Any, git: Any) -> None:
    """A push is synchronize, deletion of the branch is closed; the sha is that of the test merge."""
    first = branch("topic", {"a.txt": "1"})
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    second = branch("topic", {"a.txt": "1", "b.txt": "2"})
    clone.push(":topic")
    events = emulator.named("pull_request")
    assert [event.action for event in events] == ["opened", "synchronize", "closed"]
    assert (events[1].payload["before"], events[1].payload["after"]) == (first, second)
    assert events[1].changed_files == ("a.txt", "b.txt")
    merge = git.commit(events[0].sha)
    assert merge.parents == (git.branch("main"), first)
    assert all(event.ref == "refs/pull/1/merge" for event in events)
    pull.update()
    assert (pull.state, pull.merged) == ("closed", False)
    assert git.ref("refs/pull/1/head") == second


def test_push_of_the_head_into_the_base_merges(emulator: Any, clone: Any, branch: Any) -> None:
    """The pusher is recorded as the merger."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    clone.git("merge", "--quiet", "--no-ff", "-m", "By hand", "topic")
    sha = clone.git("rev-parse", "HEAD").stdout.strip()
    clone.push("main")
    pull.update()
    assert (pull.merged, pull.merged_by.login, pull.merge_commit_sha) == (True, "alice", sha)


def test_invalid_pull_request_is_422(emulator: Any, branch: Any) -> None:
    """A missing branch, no commits, a duplicate and an invalid title are refused."""
    branch("topic")
    api = emulator.api()
    api.create_git_ref("refs/heads/even", api.get_branch("main").commit.sha)
    assert "'field': 'head'" in refusal(lambda: api.create_pull(base="main", head="absent", title="T"), 422)
    assert "'field': 'base'" in refusal(lambda: api.create_pull(base="absent", head="topic", title="T"), 422)
    assert "No commits between main and even" in refusal(
        lambda: api.create_pull(base="main", head="even", title="T"), 422
    )
    assert "missing_field" in refusal(lambda: api.create_pull(base="main", head="topic", title=""), 422)
    assert "too long" in refusal(lambda: api.create_pull(base="main", head="topic", title="T" * 257), 422)
    first = api.create_pull(base="main", head="topic", title="T")
    assert "A pull request already exists for acme:topic." in refusal(
        lambda: api.create_pull(base="main", head="topic", title="T"), 422
    )
    assert first.number == 1


def test_pull_requests_are_listed_by_branch_and_state(emulator: Any, branch: Any) -> None:
    """head is owner:branch; closed ones are listed only on request; newest first."""
    for name in ("a", "b", "c"):
        branch(name)
        emulator.api().create_pull(base="main", head=name, title=name)
    api = emulator.api()
    api.get_pull(2).edit(state="closed")
    assert [pull.title for pull in api.get_pulls()] == ["c", "a"]
    assert [pull.title for pull in api.get_pulls(state="all", direction="asc", sort="created")] == ["a", "b", "c"]
    assert [pull.number for pull in api.get_pulls(state="all", head="acme:b")] == [2]
    assert api.get_pulls(head="other:a").totalCount == 0
    assert api.get_pulls(base="release").totalCount == 0


def test_closed_pull_request_is_reopened(emulator: Any, clone: Any, branch: Any) -> None:
    """It is 422 if the branch is gone."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    pull.edit(state="closed")
    pull.edit(state="open", title="New")
    assert [event.action for event in emulator.named("pull_request")] == ["opened", "closed", "edited", "reopened"]
    clone.push(":topic")
    refusal(lambda: pull.edit(state="open"), 422)


def test_files_are_compared_with_the_merge_base(emulator: Any, clone: Any, branch: Any) -> None:
    """Later changes of main are not part of the pull request."""
    branch("topic", {"model-config/gate.yaml": "min_recall: 0.7\n", "new.txt": "1\n"})
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    clone.commit({"other.txt": "1"})
    clone.push("main")
    files = {file.filename: file for file in pull.get_files()}
    assert set(files) == {"model-config/gate.yaml", "new.txt"}
    assert files["new.txt"].status == "added"
    assert "+min_recall: 0.7" in files["model-config/gate.yaml"].patch
    assert pull.get_commits().totalCount == 1


def test_fork_opens_a_pull_request(emulator: Any, clone: Any, branch: Any, git: Any) -> None:
    """The head is fetched to refs/pull, pushes to the fork synchronize it, and the fork's token cannot merge."""
    token = emulator.token("mallory", repository="mallory/fraud")
    fork = emulator.api(token).create_fork()
    assert (fork.full_name, fork.parent.full_name) == ("mallory/fraud", "acme/fraud")
    clone.git("checkout", "--quiet", "-b", "evil")
    first = clone.commit({".github/workflows/x.yml": "on: push\n"})
    clone.git("push", "--quiet", emulator.url(token, "mallory/fraud"), "evil")
    pull = emulator.api(token).create_pull(base="main", head="mallory:evil", title="Please")
    assert pull.head.repo.full_name == "mallory/fraud"
    assert pull.head.label == "mallory:evil"
    assert git.ref("refs/pull/1/head") == first
    second = clone.commit({"more.txt": "1"})
    clone.git("push", "--quiet", emulator.url(token, "mallory/fraud"), "evil")
    assert git.ref("refs/pull/1/head") == second
    event = emulator.named("pull_request")[-1]
    assert (event.action, event.repository, event.actor) == ("synchronize", "acme/fraud", "mallory")
    assert event.payload["pull_request"]["head"]["repo"]["fork"] is True
    assert "personal access token" in refusal(pull.merge, 403)
    emulator.api().get_pull(1).merge()
    assert git.show("main", "more.txt") == b"1"


def test_draft_cannot_be_merged(emulator: Any, branch: Any) -> None:
    """It is 405 until the pull request is ready."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T", draft=True)
    assert "draft" in refusal(pull.merge, 405)
    pull.mark_ready_for_review()
    assert pull.merge().merged


def test_merge_needs_required_status_and_reviews(emulator: Any, branch: Any) -> None:
    """The head needs the required context and approvals by others than the author."""
    head = branch("topic")
    rule = {
        "required_status_checks": {"strict": False, "contexts": ["acme/ci"]},
        "required_pull_request_reviews": {"required_approving_review_count": 1},
    }
    protect(emulator.github.state.find("acme", "fraud"), "main", enforce_admins=True, **rule)
    api = emulator.api()
    pull = api.create_pull(base="main", head="topic", title="T")
    assert 'Required status check "acme/ci" is expected.' in refusal(pull.merge, 405)
    api.get_commit(head).create_status("failure", context="acme/ci")
    refusal(pull.merge, 405)
    api.get_commit(head).create_status("success", context="acme/ci")
    assert "approving review" in refusal(pull.merge, 405)
    assert "Can not approve your own" in refusal(lambda: pull.create_review(event="APPROVE"), 422)
    emulator.api(emulator.token("bob")).get_pull(1).create_review(event="APPROVE", body="Good.")
    assert pull.merge().merged
    assert [review.state for review in pull.get_reviews()] == ["APPROVED"]


def test_workflow_opens_pull_requests_only_if_allowed(emulator: Any, branch: Any) -> None:
    """The setting "Allow GitHub Actions to create and approve pull requests" applies."""
    branch("topic")
    emulator.github.state.find("acme", "fraud").settings["can_approve_pull_request_reviews"] = False
    api = emulator.api(emulator.workflow_token(pull_requests="write", contents="write"))
    message = refusal(lambda: api.create_pull(base="main", head="topic", title="T"), 403)
    assert message.startswith("GitHub Actions is not permitted to create or approve pull requests.")


def test_merge_by_a_workflow_token_is_marked(emulator: Any, branch: Any) -> None:
    """Its events carry from_workflow_token."""
    branch("topic")
    api = emulator.api(emulator.workflow_token(pull_requests="write", contents="write"))
    api.create_pull(base="main", head="topic", title="T").merge()
    assert all(event.from_workflow_token for event in emulator.events if event.actor == "github-actions[bot]")
    assert emulator.events[-1].name == "push"
    assert emulator.events[-1].from_workflow_token


def test_concurrent_merges_merge_once(emulator: Any, branch: Any, git: Any) -> None:
    """One succeeds, the other gets 405."""
    branch("topic")
    emulator.api().create_pull(base="main", head="topic", title="T")
    outcomes: list[int] = []

    def merge() -> None:
        try:
            emulator.api().get_pull(1).merge()
            outcomes.append(200)
        except GithubException as error:
            outcomes.append(error.status)

    threads = [threading.Thread(target=merge) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(outcomes) == [200, 405]
    assert git.count("main", "--merges") == 1


def test_merge_closes_named_issues(emulator: Any, branch: Any) -> None:
    """`Closes #1` applies to merges into the default branch."""
    branch("topic")
    api = emulator.api()
    issue = api.create_issue("Broken")
    pull = api.create_pull(base="main", head="topic", title="T", body="Closes #1")
    pull.merge()
    issue.update()
    assert (issue.state, issue.state_reason) == ("closed", "completed")


def test_update_branch_merges_the_base(emulator: Any, clone: Any, branch: Any, git: Any) -> None:
    """The event is synchronize."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    main = clone.commit({"x": "1"})
    clone.push("main")
    assert pull.update_branch()
    assert git.is_ancestor(main, git.branch("topic"))
    assert emulator.named("pull_request")[-1].action == "synchronize"


def test_reviewers_are_requested_and_removed(emulator: Any, branch: Any) -> None:
    """The author cannot be a reviewer."""
    branch("topic")
    pull = emulator.api().create_pull(base="main", head="topic", title="T")
    pull.create_review_request(reviewers=["bob"])
    assert [user.login for user in pull.get_review_requests()[0]] == ["bob"]
    pull.delete_review_request(reviewers=["bob"])
    assert [user.login for user in pull.get_review_requests()[0]] == []
    refusal(lambda: pull.create_review_request(reviewers=["alice"]), 422)
