"""A rollback moves the pointer back and touches nothing else; records stay for ever."""

from __future__ import annotations

import pytest

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import approvals, commit_messages, rollbacks, serving_pointer
from ml.gitops.repository import BOT
from tests.harness.git.repositories import PERSON, GitWorkspace, record


@pytest.fixture
def approved(workspace: GitWorkspace) -> GitWorkspace:
    """Approvals 1, 2 and 3 merged, and a person's edit of the instance after them."""
    for number in (1, 2, 3):
        proposal = approvals.propose(workspace.repository, record(number))
        workspace.repository.merge(
            proposal.branch, commit_messages.merge(proposal.record, proposal.branch), author=PERSON
        )
    edited = workspace.text(config.SERVING).replace("endpoint: fraudops-production", "endpoint: fraudops-live")
    workspace.write({config.SERVING: edited}, "Rename the endpoint")
    return workspace


def test_former_comes_back_by_a_revert_of_the_pointers_commit(approved: GitWorkspace) -> None:
    """In git's own words, also where a neighbouring line was edited since and a textual revert would conflict."""
    repository, base = approved.repository, approved.repository.head()
    pointer = serving_pointer.moves(repository, "main")[-1].pointer
    prepared = rollbacks.prepare(repository, 2)
    assert (prepared.branch, prepared.state, prepared.reverted) == ("rollback/0002", "created", pointer.sha)
    message = approved.git("log", "-1", "--format=%B", prepared.commit)
    assert message.startswith(f'Revert "Serve approval 0003"\n\nThis reverts commit {pointer.sha}.')
    assert approved.changed(base, prepared.commit) == [str(config.SERVING)]
    after = serving_pointer.read(repository, prepared.branch)
    assert (after.approval, after.endpoint) == (2, "fraudops-live")
    assert (repository.head(), repository.dirty()) == (base, [])
    assert repository.log(prepared.commit)[0].author == BOT.name


def test_earlier_one_comes_back_by_a_move(approved: GitWorkspace) -> None:
    """There is no one commit whose revert would give it."""
    prepared = rollbacks.prepare(approved.repository, 1)
    assert prepared.reverted is None
    assert approved.git("log", "-1", "--format=%s", prepared.commit) == "Serve approval 0001 again"
    assert serving_pointer.read(approved.repository, prepared.branch).approval == 1


def test_records_stay(approved: GitWorkspace) -> None:
    """What was approved remains on record after the rollback."""
    prepared = rollbacks.prepare(approved.repository, 2)
    approved.repository.merge(prepared.branch, commit_messages.merge_rollback(2, prepared.branch), author=PERSON)
    files = approved.repository.files("main", config.APPROVALS)
    assert files == [str(config.approval_path(number)) for number in (1, 2, 3)]


def test_running_it_again_keeps_the_branch(approved: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until main moves on; then it is built anew on top of it, and again after it was merged."""
    first = rollbacks.prepare(approved.repository, 2)
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-01-01T00:00:00Z")
    assert rollbacks.prepare(approved.repository, 2).commit == first.commit
    head = approved.write({"README.md": "x"}, "Readme")
    rebuilt = rollbacks.prepare(approved.repository, 2)
    assert rebuilt.state == "rebuilt"
    assert approved.repository.is_ancestor(head, rebuilt.commit)
    approved.repository.merge(rebuilt.branch, "Merge", author=PERSON)
    forth = rollbacks.prepare(approved.repository, 3)
    approved.repository.merge(forth.branch, "Merge", author=PERSON)
    assert rollbacks.prepare(approved.repository, 2).state == "rebuilt"


def test_someones_commits_on_the_branch_are_not_lost(approved: GitWorkspace) -> None:
    """A branch with a person's commit is not built anew."""
    prepared = rollbacks.prepare(approved.repository, 2)
    approved.git("switch", "-q", prepared.branch)
    tip = approved.write({"notes.md": "why"}, "Why")
    approved.git("switch", "-q", "main")
    approved.write({"README.md": "x"}, "Readme")
    with pytest.raises(GitError, match="commits of people"):
        rollbacks.prepare(approved.repository, 2)
    assert approved.repository.resolve(prepared.branch) == tip


@pytest.mark.parametrize(("target", "reason"), [(3, "already the one that main serves"), (9, "only an approved model")])
def test_what_cannot_come_back_is_refused(approved: GitWorkspace, target: int, reason: str) -> None:
    """What serves now, and what has no record."""
    with pytest.raises(Refused, match=reason):
        rollbacks.prepare(approved.repository, target)


def test_there_is_nothing_to_roll_back_where_nothing_serves(workspace: GitWorkspace) -> None:
    """approval: null in a fresh repository."""
    with pytest.raises(Refused, match="approval: null"):
        rollbacks.prepare(workspace.repository, 1)
