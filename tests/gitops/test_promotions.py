"""A promotion's branch: it moves only production's pointer, to the approval that staging names."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import approvals, commit_messages, promotions, serving_pointer
from ml.gitops.repository import BOT
from tests.harness.git.repositories import PERSON, GitWorkspace, record


def champion(number: int) -> config.Champion:
    """Approval `number` as the champion of another record."""
    compared = record(number)
    return config.Champion(
        approval=number,
        model_package_arn=compared.model_package_arn,
        artifact_sha256=compared.artifact.sha256,
        comparison="compared",
        reason="better",
    )


def approve(workspace: GitWorkspace, made: config.ApprovalRecord) -> approvals.ApprovalBranch:
    """Approves `made` and merges it."""
    proposal = approvals.propose(workspace.repository, made)
    workspace.repository.merge(proposal.branch, commit_messages.merge(made, proposal.branch), author=PERSON)
    return proposal


@pytest.fixture
def staged(workspace: GitWorkspace) -> GitWorkspace:
    """A repository with a staging whose pointer names nothing."""
    text = workspace.text(config.SERVING).replace("fraudops-production", "fraudops-staging")
    workspace.write({config.STAGING: text}, "Add staging")
    return workspace


def pointers(workspace: GitWorkspace, revision: str = "main") -> tuple[int | None, int | None]:
    """The approvals that staging and production name."""
    repository = workspace.repository
    return (
        serving_pointer.read(repository, revision, config.STAGING).approval,
        serving_pointer.read(repository, revision).approval,
    )


def test_approval_moves_the_pointer_of_staging_only(staged: GitWorkspace) -> None:
    """The second commit names staging; production's file has no commit of it."""
    proposal = approve(staged, record(1))
    assert pointers(staged) == (1, None)
    assert staged.git("log", "-1", "--format=%s", proposal.pointer_commit) == "Serve approval 0001 in staging"
    assert staged.changed(f"{proposal.pointer_commit}^", proposal.pointer_commit) == [str(config.STAGING)]
    again = approvals.propose(staged.repository, record(1))
    assert (again.state, again.pointer_commit) == ("on main already", proposal.pointer_commit)


def test_promotion_moves_the_pointer_of_production_only(staged: GitWorkspace) -> None:
    """One commit by the bot, with the digest that moves; a second call keeps it, and main's move rebuilds it."""
    approve(staged, record(1))
    base = staged.repository.head()
    prepared = promotions.prepare(staged.repository)
    assert (prepared.branch, prepared.state, prepared.current) == ("promote/0001", "created", None)
    assert staged.changed(base, prepared.commit) == [str(config.SERVING)]
    assert pointers(staged, prepared.branch) == (1, 1)
    message = staged.git("log", "-1", "--format=%B", prepared.commit)
    assert message.startswith("Serve approval 0001\n")
    assert f"sha256:{record(1).artifact.sha256}" in message
    assert staged.repository.log(prepared.commit)[0].author == BOT.name
    assert promotions.prepare(staged.repository).state == "kept"
    staged.write({"notes.txt": "new\n"}, "Note")
    assert promotions.prepare(staged.repository).state == "rebuilt"


def test_promotion_keeps_commits_of_people(staged: GitWorkspace) -> None:
    """A branch that a person has worked on is not replaced."""
    approve(staged, record(1))
    prepared = promotions.prepare(staged.repository)
    staged.git("switch", "-q", prepared.branch)
    staged.write({"notes.txt": "mine\n"}, "Mine")
    staged.git("switch", "-q", "main")
    staged.write({"other.txt": "new\n"}, "Note")
    with pytest.raises(GitError, match="has commits of people"):
        promotions.prepare(staged.repository)


@pytest.mark.parametrize("more", [{"notes.txt": b"more"}, {config.SERVING: b"approval: 1\n"}])
def test_promotion_keeps_no_other_change(staged: GitWorkspace, more: dict[str | Path, bytes]) -> None:
    """The pull request says that it moves the pointer only: the bot's branch is rebuilt, a person's refused."""
    approve(staged, record(1))
    repository, base = staged.repository, staged.repository.head()
    prepared = promotions.prepare(repository)
    other = repository.commit(prepared.commit, more, "More")
    repository.move_branch(prepared.branch, other, seen=prepared.commit)
    rebuilt = promotions.prepare(repository)
    assert rebuilt.state == "rebuilt"
    assert staged.changed(base, rebuilt.commit) == [str(config.SERVING)]
    assert serving_pointer.read(repository, rebuilt.branch).endpoint == "fraudops-production"
    theirs = repository.commit(rebuilt.commit, more, "More", author=PERSON)
    repository.move_branch(prepared.branch, theirs, seen=rebuilt.commit)
    with pytest.raises(GitError, match="has commits of people and changes more than the pointer"):
        promotions.prepare(repository)
    assert repository.resolve(prepared.branch) == theirs


def test_nothing_is_promoted_without_a_reason(workspace: GitWorkspace) -> None:
    """No staging, nothing in staging, what production serves, served before, or out of date."""
    with pytest.raises(Refused, match="there is no staging to promote from"):
        promotions.candidate(workspace.repository, "main")
    text = workspace.text(config.SERVING).replace("fraudops-production", "fraudops-staging")
    workspace.write({config.STAGING: text}, "Add staging")
    with pytest.raises(Refused, match="has approval: null"):
        promotions.candidate(workspace.repository, "main")
    approve(workspace, record(1))
    moved = serving_pointer.set_approval(workspace.text(config.SERVING), 1)
    workspace.write({config.SERVING: moved}, "Promote 1")
    with pytest.raises(Refused, match="already the one that production serves"):
        promotions.candidate(workspace.repository, "main")
    approve(workspace, record(2))
    with pytest.raises(Refused, match="was compared with nothing, and production serves approval 0001 now"):
        promotions.candidate(workspace.repository, "main")
    approve(workspace, record(3).model_copy(update={"champion": champion(1)}))
    assert promotions.candidate(workspace.repository, "main").approval == 3
    for number in (3, 1):
        moved = serving_pointer.set_approval(workspace.text(config.SERVING), number)
        workspace.write({config.SERVING: moved}, f"Serve {number}")
    with pytest.raises(Refused, match="has served in production before"):
        promotions.candidate(workspace.repository, "main")


def test_branch_names_are_read_back() -> None:
    """Names of people's branches are no promotions."""
    assert promotions.number_of(promotions.branch_name(7)) == 7
    assert [promotions.number_of(name) for name in ("promote/7", "promote/mine", "approve/0007")] == [None] * 3
