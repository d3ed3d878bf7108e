"""A rollback's branch: it changes only the serving pointer, and approval records stay."""

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


def test_rollback_to_the_former_approval_is_a_revert(approved: GitWorkspace) -> None:
    """The pointer's commit is reverted, also if a neighbouring line was edited since."""
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


def test_rollback_to_an_earlier_approval_sets_the_pointer(approved: GitWorkspace) -> None:
    """No single commit can be reverted, so the pointer is set to that approval."""
    prepared = rollbacks.prepare(approved.repository, 1)
    assert prepared.reverted is None
    assert approved.git("log", "-1", "--format=%s", prepared.commit) == "Serve approval 0001 again"
    assert serving_pointer.read(approved.repository, prepared.branch).approval == 1


def test_rollback_keeps_all_approval_records(approved: GitWorkspace) -> None:
    """The records of all approvals are on main after the merge."""
    prepared = rollbacks.prepare(approved.repository, 2)
    approved.repository.merge(prepared.branch, commit_messages.merge_rollback(2, prepared.branch), author=PERSON)
    files = approved.repository.files("main", config.APPROVALS)
    assert files == [str(config.approval_path(number)) for number in (1, 2, 3)]


def test_second_run_keeps_the_branch_until_main_moves(approved: GitWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is rebuilt on a newer main, and again after it was merged."""
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


def test_branch_with_a_commit_of_a_person_is_not_rebuilt(approved: GitWorkspace) -> None:
    """The error says so, and the branch stays where it is."""
    prepared = rollbacks.prepare(approved.repository, 2)
    approved.git("switch", "-q", prepared.branch)
    tip = approved.write({"notes.md": "why"}, "Why")
    approved.git("switch", "-q", "main")
    approved.write({"README.md": "x"}, "Readme")
    with pytest.raises(GitError, match="commits of people"):
        rollbacks.prepare(approved.repository, 2)
    assert approved.repository.resolve(prepared.branch) == tip


@pytest.mark.parametrize(("target", "reason"), [(3, "already the one that main serves"), (9, "only an approved model")])
def test_invalid_target_is_refused(approved: GitWorkspace, target: int, reason: str) -> None:
    """The approval that serves now, and one without a record."""
    with pytest.raises(Refused, match=reason):
        rollbacks.prepare(approved.repository, target)


def test_rollback_without_a_serving_approval_is_refused(workspace: GitWorkspace) -> None:
    """A fresh repository has approval: null."""
    with pytest.raises(Refused, match="approval: null"):
        rollbacks.prepare(workspace.repository, 1)
