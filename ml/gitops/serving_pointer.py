"""Reads and moves the serving pointers in model-config/serving/, at any commit: production's, or staging's.

`git log` of that file records which model was to serve and who approved it. Moving the pointer changes this one value;
every other byte of the file stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.errors import ConfigError
from ml.gitops.repository import Commit, Repository


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of the pointer on a branch: the approvals before and after, and the commits that changed it."""

    before: int | None
    after: int | None
    landed: Commit
    """The first-parent commit that brought the change; a merge if there was a pull request."""
    pointer: Commit
    """The commit that changed the line; a rollback reverts it."""


def has_staging(repository: Repository, revision: str) -> bool:
    """Whether there is a stage before production at `revision`."""
    return repository.show(revision, config.STAGING) is not None


def of_approvals(repository: Repository, revision: str) -> Path:
    """The file whose pointer a new approval moves: staging's, or production's if there is no staging."""
    return config.STAGING if has_staging(repository, revision) else config.SERVING


def read(repository: Repository, revision: str, file: Path = config.SERVING) -> config.ServingFile:
    """The serving file committed at `revision`; ConfigError if it is missing or invalid."""
    return config.parse(read_text(repository, revision, file), file, config.ServingFile)


def read_text(repository: Repository, revision: str, file: Path = config.SERVING) -> str:
    """The text of the serving file at `revision`; ConfigError if it is missing or not UTF-8."""
    content = repository.show(revision, file)
    if content is None:
        raise ConfigError(f"{file}: not in Git at {revision}")
    return config.decode(content, file)


def set_approval(text: str, approval: int, file: Path = config.SERVING) -> str:
    """The serving file `text` with its pointer at `approval`; all else stays byte for byte.

    Raises:
        ConfigError: the file is invalid, or `approval` is not a plain number or null on its own line.
    """
    config.parse(text, file, config.ServingFile)
    return config.set_values(text, file, {"approval": approval})


def moves(repository: Repository, revision: str, file: Path = config.SERVING) -> list[Move]:
    """Every change of the pointer on the branch that ends at `revision`, oldest first.

    A commit at which the file cannot be read counts as no change: nothing was deployed from it.
    """
    changes: list[Move] = []
    pointed: int | None = None
    for landed in reversed(repository.log(revision, file, first_parent=True)):
        known, approval = _read_approval(repository, landed.sha, file)
        if known and approval != pointed:
            pointer = _pointer_commit(repository, landed, approval, file)
            changes.append(Move(before=pointed, after=approval, landed=landed, pointer=pointer))
            pointed = approval
    return changes


def rollback_targets(history: list[Move]) -> list[int]:
    """The approvals that a rollback can go back to, latest first, given all moves so far.

    A rollback removes the approval that it left from this list, so a second rollback goes further back.
    """
    stack: list[int] = []
    for move in history:
        if move.after is None:
            continue
        if move.after in stack:
            del stack[stack.index(move.after) + 1 :]
        else:
            stack.append(move.after)
    return stack[-2::-1] if history and history[-1].after is not None else stack[::-1]


def _read_approval(repository: Repository, revision: str, file: Path) -> tuple[bool, int | None]:
    """Whether the file is readable at `revision`, and its approval. Older files need not pass today's rules."""
    content = repository.show(revision, file)
    try:
        document = config.load_bytes(content, file) if content is not None else None
    except ConfigError:
        return False, None
    approval = document.get("approval") if isinstance(document, dict) else None
    known = content is not None and (approval is None or (isinstance(approval, int) and approval > 0))
    return known, approval if known else None


def _pointer_commit(repository: Repository, landed: Commit, approval: int | None, file: Path) -> Commit:
    if len(landed.parents) < 2:
        return landed
    within = repository.log(f"{landed.parents[0]}..{landed.sha}", file)
    return next(
        (
            commit
            for commit in within
            if len(commit.parents) == 1
            and _read_approval(repository, commit.sha, file) == (True, approval)
            and _read_approval(repository, commit.parents[0], file) != (True, approval)
        ),
        landed,
    )
