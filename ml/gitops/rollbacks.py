"""Builds rollback branches in Git: one commit moves a serving pointer back. Never changes records.

For the previous approval, the commit equals `git revert` of the pointer's commit, with the same message. It edits the
one value instead, because a textual revert conflicts as soon as a neighbouring line has changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import commit_messages, serving_pointer
from ml.gitops.repository import BOT, Repository

PREFIX = "rollback/"
_STAGING = "staging-"


@dataclass(frozen=True, kw_only=True)
class RollbackBranch:
    """A rollback's branch; `state` says what `prepare` did to it. `reverted` is the pointer commit that it reverts."""

    target: int
    current: int
    branch: str
    commit: str
    reverted: str | None
    state: Literal["created", "kept", "rebuilt"]


def branch_name(target: int, file: Path = config.SERVING) -> str:
    """The name of the branch that rolls back to approval `target`, e.g. rollback/0007; rollback/staging-0007."""
    stage = _STAGING if file == config.STAGING else ""
    return f"{PREFIX}{stage}{commit_messages.number(target)}"


def file_of(branch: str) -> Path:
    """The serving file whose pointer a branch of this name moves."""
    return config.STAGING if branch.startswith(f"{PREFIX}{_STAGING}") else config.SERVING


def prepare(
    repository: Repository,
    target: int,
    *,
    main: str = "main",
    settings: str | None = None,
    file: Path = config.SERVING,
) -> RollbackBranch:
    """Creates the branch that points `main` at `target` again, or keeps the existing one. Idempotent.

    Args:
        settings: the serving file to restore if `main` points at `target` already.
        file: the serving file whose pointer moves: production's or staging's.

    Raises:
        Refused: main already points at it, points at nothing, or has no record of it.
        GitError: the branch is behind main and has commits of others.
    """
    base, name = repository.commit_of(main), branch_name(target, file)
    current = serving_pointer.read(repository, base, file).approval
    if current is None:
        raise Refused(f"{file} on {main} has approval: null, so there is nothing to roll back")
    if current == target and settings is None:
        does = "serves in staging" if file == config.STAGING else "serves"
        raise Refused(f"approval {commit_messages.number(target)} is already the one that {main} {does}")
    if repository.show(base, config.approval_path(target)) is None:
        raise Refused(f"{config.approval_path(target)} is not on {main}: only an approved model can serve")
    last = serving_pointer.moves(repository, base, file)[-1]
    reverted = last.pointer if last.before == target else None
    tip = repository.resolve(f"refs/heads/{name}")
    if tip is not None and tip != base and repository.is_ancestor(base, tip):
        kept = serving_pointer.read_text(repository, tip, file)
        if serving_pointer.read(repository, tip, file).approval != target or (
            settings is not None and kept != settings
        ):
            raise GitError(
                f"branch {name} does not point at approval {commit_messages.number(target)}; "
                "delete it and run this again"
            )
        return RollbackBranch(
            target=target,
            current=current,
            branch=name,
            commit=tip,
            reverted=reverted.sha if reverted and settings is None else None,
            state="kept",
        )
    if tip is not None and any(commit.author != BOT.name for commit in repository.log(f"{base}..{tip}")):
        raise GitError(f"branch {name} has commits of people and is behind {main}; merge {main} into it")
    if settings is not None:
        reverted, message, moved = None, commit_messages.restore(target, staging=file == config.STAGING), settings
    else:
        message = (
            commit_messages.rollback(target, current, reverted=reverted.sha, subject=reverted.subject)
            if reverted
            else commit_messages.return_to(target, current, staging=file == config.STAGING)
        )
        moved = serving_pointer.set_approval(serving_pointer.read_text(repository, base, file), target, file)
    commit = repository.commit(base, {file: moved.encode()}, message)
    repository.move_branch(name, commit, seen=tip)
    return RollbackBranch(
        target=target,
        current=current,
        branch=name,
        commit=commit,
        reverted=reverted.sha if reverted else None,
        state="created" if tip is None else "rebuilt",
    )
