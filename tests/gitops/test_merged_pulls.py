"""Merged pull requests on the GitHub emulator, found by their merge commits."""

from __future__ import annotations

from ml.gitops import merged_pulls, pull_requests
from tests.harness.github.emulator import Hub


def test_pull_requests_are_found_by_their_merge_commits(hub: Hub) -> None:
    """A closed one, one of a reused branch and a commit without a pull request are not taken for them."""
    commits = []
    for content in ("one\n", "two\n"):
        hub.branch("approve/0001", content)
        number = pull_requests.propose(hub.client(), branch="approve/0001", base="main", title="T", body="B").number
        pull = hub.person().get_pull(number)
        hub.person("bob").get_pull(number).create_review(event="APPROVE")
        hub.person("carol").get_pull(number).create_review(event="APPROVE")
        hub.person("carol").get_pull(number).create_review(event="REQUEST_CHANGES", body="no")
        commits.append(pull.merge().sha)
        hub.person().get_git_ref("heads/approve/0001").delete()
        hub.workspace.git("fetch", "-q", "origin", "main:refs/heads/upstream")
        hub.workspace.git("merge", "-q", "--ff-only", "upstream")
    hub.branch("approve/0002")
    closed = pull_requests.propose(hub.client(), branch="approve/0002", base="main", title="T", body="B").number
    hub.person().get_pull(closed).edit(state="closed")
    first = hub.workspace.git("rev-list", "--max-parents=0", "HEAD")
    found = merged_pulls.by_merge_commit(hub.client(), [*commits, first])
    assert [(sha, pull.number) for sha, pull in sorted(found.items(), key=lambda item: item[1].number)] == [
        (commits[0], 1),
        (commits[1], 2),
    ]
    second = found[commits[1]]
    assert (second.branch, second.author, second.merged_by) == ("approve/0001", "github-actions[bot]", "alice")
    assert second.approved_by == ("bob",)
    assert second.url.endswith("/acme/fraudops/pull/2")
    assert merged_pulls.by_merge_commit(hub.client(), []) == {}


def test_review_of_an_earlier_commit_approves_nothing(hub: Hub) -> None:
    """Who approved before the last push did not see what was merged."""
    hub.branch("approve/0001")
    number = pull_requests.propose(hub.client(), branch="approve/0001", base="main", title="T", body="B").number
    hub.person("bob").get_pull(number).create_review(event="APPROVE")
    tip = hub.remote().fetch("approve/0001") or ""
    later = hub.workspace.repository.commit(tip, {"notes/later.md": b"x\n"}, "Change it")
    hub.remote().push_branch("approve/0001", later, seen=tip)
    commit = hub.person().get_pull(number).merge().sha
    assert merged_pulls.by_merge_commit(hub.client(), [commit])[commit].approved_by == ()
