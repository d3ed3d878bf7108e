"""Approval branches in Git: one commit with the record, one that moves the serving pointer.

The record is append only and stays for ever; the pointer's commit is what a rollback reverts. The branch is built
beside the working tree and never over someone else's commits. What may be approved is decided by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ml import config
from ml.errors import ConfigError, GitError, Refused
from ml.gitops import commit_messages, serving_pointer
from ml.gitops.repository import BOT, Repository

PREFIX = "approve/"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """An approval's branch, and what became of it."""

    record: config.ApprovalRecord
    branch: str
    record_commit: str
    pointer_commit: str
    state: Literal["created", "kept", "rebuilt", "on main already"]


def branch_name(approval: int) -> str:
    """The one branch that proposes approval `approval`: approve/0007."""
    return f"{PREFIX}{commit_messages.number(approval)}"


def number_of(branch: str) -> int | None:
    """The approval that `branch` proposes; None where it is no such branch, as approve/mine or approve/7 is not."""
    digits = branch.removeprefix(PREFIX)
    number = int(digits) if digits.isdecimal() else 0
    return number if number > 0 and branch == branch_name(number) else None


def recorded(repository: Repository, revision: str, approval: int) -> config.ApprovalRecord | None:
    """The record of `approval` as committed at `revision`; None where there is none, ConfigError where it is broken."""
    path = config.approval_path(approval)
    content = repository.show(revision, path)
    if content is None:
        return None
    record = config.parse(content.decode("utf-8", "replace"), path, config.ApprovalRecord)
    if record.approval != approval:
        raise ConfigError(f"{path}: approval must be {approval}, as the file's name says (got {record.approval})")
    return record


def propose(repository: Repository, record: config.ApprovalRecord, *, main: str = "main") -> Proposal:
    """Makes the branch that approves `record`, or finds it made: running it again changes nothing that is right.

    A branch that main has left behind is built anew on top of it, keeping the time in its record.

    Raises:
        Refused: main or the branch already holds another record of this number, or main has moved past it.
        GitError: someone else has committed to the branch, and main has moved on.
    """
    base, name = repository.commit_of(main), branch_name(record.approval)
    on_main = recorded(repository, base, record.approval)
    if on_main is not None:
        return _settled(repository, base, on_main, record, main)
    tip = repository.resolve(f"refs/heads/{name}")
    if tip is None:
        return _build(repository, base, record, None, "created")
    on_branch = recorded(repository, tip, record.approval)
    if on_branch is None or not _same(on_branch, record):
        raise Refused(
            f"branch {name} holds {'another record' if on_branch else 'no record'} of this approval, and a record is "
            f"never rewritten; look at it, and delete the branch if it is wrong"
        )
    if repository.is_ancestor(base, tip):
        return _found(repository, tip, on_branch, "kept")
    if any(commit.author != BOT.name for commit in repository.log(f"{base}..{tip}")):
        raise GitError(f"branch {name} holds commits of people and lacks those of {main}; merge {main} into it")
    return _build(repository, base, on_branch, tip, "rebuilt")


def _settled(
    repository: Repository, base: str, on_main: config.ApprovalRecord, record: config.ApprovalRecord, main: str
) -> Proposal:
    number = commit_messages.number(record.approval)
    if not _same(on_main, record):
        raise Refused(
            f"{config.approval_path(record.approval)} is on {main} with another content, and a record is never "
            f"rewritten; approval {number} is {on_main.model_package_arn}, sha256:{on_main.artifact.sha256[:12]}…"
        )
    pointed = serving_pointer.at(repository, base).approval
    if pointed != record.approval:
        raise Refused(
            f"approval {number} was merged before and {main} has moved on to "
            f"{commit_messages.number(pointed) if pointed else 'none'}; "
            f"to serve it again: `fraudops rollback --to {number}`"
        )
    return _found(repository, base, on_main, "on main already")


def _found(
    repository: Repository, tip: str, record: config.ApprovalRecord, state: Literal["kept", "on main already"]
) -> Proposal:
    first = repository.log(tip, config.approval_path(record.approval))[-1]
    pointer = [move.pointer for move in serving_pointer.moves(repository, tip) if move.after == record.approval]
    if not pointer:
        raise Refused(
            f"branch {branch_name(record.approval)} does not point at its approval; delete it and run this again"
        )
    return Proposal(
        record=record,
        branch=branch_name(record.approval),
        record_commit=first.sha,
        pointer_commit=pointer[-1].sha,
        state=state,
    )


def _build(
    repository: Repository,
    base: str,
    record: config.ApprovalRecord,
    seen: str | None,
    state: Literal["created", "rebuilt"],
) -> Proposal:
    text = serving_pointer.text_at(repository, base)
    former = serving_pointer.at(repository, base).approval
    if former == record.approval:
        raise Refused(
            f"{config.SERVING} points at approval {commit_messages.number(former)}, which has no record on main; "
            "move the pointer back first: it moves by the approval's own commit"
        )
    path = config.approval_path(record.approval)
    first = repository.commit(base, {path: config.dump(record).encode()}, commit_messages.record(record))
    moved = serving_pointer.point(text, record.approval).encode()
    second = repository.commit(first, {config.SERVING: moved}, commit_messages.pointer(record.approval, former))
    name = branch_name(record.approval)
    repository.move_branch(name, second, seen=seen)
    return Proposal(record=record, branch=name, record_commit=first, pointer_commit=second, state=state)


def _same(one: config.ApprovalRecord, other: config.ApprovalRecord) -> bool:
    """Whether two records approve the same thing on the same evidence; when each was written does not matter."""
    return one.model_copy(update={"created": other.created}) == other
