"""`fraudops approve` creates the branch of an approval and, if asked to, merges it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml.commands.approve import approve
from ml.errors import GitError
from ml.gitops import serving_pointer
from tests.harness.git.repositories import PERSON
from tests.harness.platform import served
from tests.harness.platform.served import ServedPlatform


@pytest.fixture
def env(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServedPlatform:
    """A repository and a registry, both empty."""
    return served.on_moto(server, tmp_path, monkeypatch)


def test_nothing_is_approved_before_the_merge(env: ServedPlatform) -> None:
    """The registry, main and the working tree stay as they were."""
    before = env.workspace.repository.head()
    approve(env.root, env.register(-1.0))
    assert env.statuses() == {1: "PendingManualApproval"}
    assert env.workspace.repository.head() == before
    assert env.workspace.repository.dirty() == []


def test_merging_is_the_approval(env: ServedPlatform) -> None:
    """The merge commit has the approver as its author and main points at it; a second call merges nothing."""
    arn = env.register(-1.0)
    result = approve(env.root, arn, merge=True, approver=PERSON)
    assert (result.approval, result.branch, result.state) == (1, "approve/0001", "created")
    (commit, *_) = env.workspace.repository.log("main")
    assert (commit.sha, commit.author, len(commit.parents)) == (result.merged, PERSON.name, 2)
    assert serving_pointer.read(env.workspace.repository, "main").approval == 1
    again = approve(env.root, arn, merge=True, approver=PERSON)
    assert (again.state, again.merged) == ("on main already", None)
    assert (again.record_commit, again.pointer_commit) == (result.record_commit, result.pointer_commit)


def test_second_call_on_another_day_keeps_the_branch(env: ServedPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model has one branch, and a second call does not commit again."""
    arn = env.register(-1.0)
    first = approve(env.root, arn)
    monkeypatch.setenv("FRAUDOPS_NOW", "2031-01-01T00:00:00Z")
    again = approve(env.root, arn)
    assert (again.state, again.pointer_commit) == ("kept", first.pointer_commit)


def test_merging_needs_main(env: ServedPlatform) -> None:
    """A merge goes into the branch that is checked out; on another branch than main nothing is created."""
    arn = env.register(-1.0)
    env.workspace.git("switch", "-q", "-c", "feature")
    with pytest.raises(GitError, match="needs main checked out"):
        approve(env.root, arn, merge=True, approver=PERSON)
    assert env.workspace.repository.resolve("approve/0001") is None
