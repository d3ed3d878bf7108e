"""Rollback branches in Git: one commit that moves the serving pointer back.

To the approval before, it is what `git revert` of the pointer's commit gives, with that message; it is made by editing
the one value, because a textual revert conflicts as soon as someone has changed a neighbouring line. Records are never
touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import commit_messages, serving_pointer
from ml.gitops.repository import BOT, Repository

PREFIX = "rollback/"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A rollback's branch, and what became of it. `reverted` is the pointer's commit that it takes back, if it does."""

    target: int
    current: int
    branch: str
    commit: str
    reverted: str | None
    state: Literal["created", "kept", "rebuilt"]


def branch_name(target: int) -> str:
    """The one branch that goes back to approval `target`: rollback/0007."""
    return f"{PREFIX}{commit_messages.number(target)}"


def prepare(repository: Repository, target: int, *, main: str = "main", settings: str | None = None) -> Prepared:
    """Makes the branch that lets `main` point at `target` again, or finds it made.

    Args:
        settings: the serving file to go back to where `main` points at `target` already, as it was deployed before.

    Raises:
        Refused: main points at it already, or at nothing, or holds no record of it.
        GitError: someone else has committed to the branch, and main has moved on.
    """
    base, name = repository.commit_of(main), branch_name(target)
    current = serving_pointer.at(repository, base).approval
    if current is None:
        raise Refused(f"{config.SERVING} on {main} serves nothing (approval: null), so there is nothing to roll back")
    if current == target and settings is None:
        raise Refused(f"approval {commit_messages.number(target)} is what {main} serves already")
    if repository.show(base, config.approval_path(target)) is None:
        raise Refused(f"{config.approval_path(target)} is not on {main}: what was never approved cannot serve")
    last = serving_pointer.moves(repository, base)[-1]
    reverted = last.pointer if last.before == target else None
    tip = repository.resolve(f"refs/heads/{name}")
    if tip is not None and tip != base and repository.is_ancestor(base, tip):
        kept = serving_pointer.text_at(repository, tip)
        if serving_pointer.at(repository, tip).approval != target or (settings is not None and kept != settings):
            raise GitError(
                f"branch {name} does not point at approval {commit_messages.number(target)}; delete it, and run again"
            )
        return _prepared(target, current, tip, reverted.sha if reverted and settings is None else None, "kept")
    if tip is not None and any(commit.author != BOT.name for commit in repository.log(f"{base}..{tip}")):
        raise GitError(f"branch {name} holds commits of people and lacks those of {main}; merge {main} into it")
    if settings is not None:
        reverted, message, moved = None, commit_messages.restore(target), settings
    else:
        message = (
            commit_messages.rollback(target, current, reverted=reverted.sha, subject=reverted.subject)
            if reverted
            else commit_messages.return_to(target, current)
        )
        moved = serving_pointer.point(serving_pointer.text_at(repository, base), target)
    commit = repository.commit(base, {config.SERVING: moved.encode()}, message)
    repository.move_branch(name, commit, seen=tip)
    return _prepared(
        target, current, commit, reverted.sha if reverted else None, "created" if tip is None else "rebuilt"
    )


def _prepared(
    target: int, current: int, commit: str, reverted: str | None, state: Literal["created", "kept", "rebuilt"]
) -> Prepared:
    return Prepared(
        target=target, current=current, branch=branch_name(target), commit=commit, reverted=reverted, state=state
    )
