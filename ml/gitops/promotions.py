"""Builds promotion branches in Git: one commit moves production's pointer to the approval that staging serves.

Changes no record and no other value. The caller decides whether staging has served it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import approvals, commit_messages, serving_pointer
from ml.gitops.repository import BOT, Repository

PREFIX = "promote/"


class NothingToPromote(Refused):
    """Staging names nothing, or what production serves or has served: no fault, and nothing to wait for."""


@dataclass(frozen=True, kw_only=True)
class PromotionBranch:
    """A promotion's branch; `state` says what `prepare` did to it. `current` is production's approval until then."""

    record: config.ApprovalRecord
    current: int | None
    branch: str
    commit: str
    state: Literal["created", "kept", "rebuilt"]


def branch_name(approval: int) -> str:
    """The name of the branch that promotes approval `approval`, e.g. promote/0007."""
    return f"{PREFIX}{commit_messages.number(approval)}"


def number_of(branch: str) -> int | None:
    """The approval that `branch` promotes; None if it is no promotion's branch."""
    digits = branch.removeprefix(PREFIX)
    number = int(digits) if digits.isdecimal() else 0
    return number if number > 0 and branch == branch_name(number) else None


def candidate(repository: Repository, main: str) -> config.ApprovalRecord:
    """The record of the approval that staging's pointer names on `main`, if production may serve it next.

    Raises:
        NothingToPromote: staging's pointer names nothing, or production serves or served the approval already.
        Refused: there is no staging, its approval has no record, or its model was compared with another than the one
            that production serves now.
    """
    if not serving_pointer.has_staging(repository, main):
        raise Refused(f"{config.STAGING} is not on {main}: there is no staging to promote from")
    number = serving_pointer.read(repository, main, config.STAGING).approval
    if number is None:
        raise NothingToPromote(
            f"{config.STAGING} has approval: null, so there is nothing to promote; merge an approval first"
        )
    record, name = approvals.read_record(repository, main, number), commit_messages.number(number)
    if record is None:
        raise Refused(f"{config.STAGING} names approval {name}, and {config.approval_path(number)} is not on {main}")
    current = serving_pointer.read(repository, main).approval
    if current == number:
        raise NothingToPromote(f"approval {name} is already the one that production serves")
    if number in {move.after for move in serving_pointer.moves(repository, main)}:
        raise NothingToPromote(
            f"approval {name} has served in production before, so this is no promotion: `fraudops rollback --to "
            f"{number}`"
        )
    compared = record.champion.approval if record.champion is not None else None
    if compared != current:
        raise Refused(
            f"approval {name} was compared with {_named(compared)}, and production serves {_named(current)} now: its "
            "verdict is out of date. Run train.yml again"
        )
    return record


def prepare(repository: Repository, *, main: str = "main") -> PromotionBranch:
    """Creates the branch that points production at staging's approval, or keeps the existing one. Idempotent.

    A branch is kept if it differs from main in the pointer only, and built again if all its commits are the bot's.

    Raises:
        Refused: as `candidate`.
        GitError: the branch has commits of people and is behind main, or changes more than the pointer.
    """
    base = repository.commit_of(main)
    record = candidate(repository, base)
    current, name = serving_pointer.read(repository, base).approval, branch_name(record.approval)
    tip = repository.resolve(f"refs/heads/{name}")
    moved = serving_pointer.set_approval(serving_pointer.read_text(repository, base), record.approval)
    commit = repository.commit(base, {config.SERVING: moved.encode()}, commit_messages.promotion(record, current))
    current_base = tip is not None and repository.is_ancestor(base, tip)
    if tip is not None and current_base and not repository.changes(commit, tip):
        return PromotionBranch(record=record, current=current, branch=name, commit=tip, state="kept")
    if tip is not None and any(made.author != BOT.name for made in repository.log(f"{base}..{tip}")):
        if current_base:
            raise GitError(
                f"branch {name} has commits of people and changes more than the pointer of {config.SERVING}, or not "
                "to its approval; delete it and run this again"
            )
        raise GitError(f"branch {name} has commits of people and is behind {main}; merge {main} into it")
    repository.move_branch(name, commit, seen=tip)
    state: Literal["created", "rebuilt"] = "created" if tip is None else "rebuilt"
    return PromotionBranch(record=record, current=current, branch=name, commit=commit, state=state)


def _named(approval: int | None) -> str:
    return f"approval {commit_messages.number(approval)}" if approval is not None else "nothing"
