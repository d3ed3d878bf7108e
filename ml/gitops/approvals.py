"""Builds approval branches in Git: one commit adds the record, a second one moves the serving pointer.

The pointer is staging's if there is a staging, and production's otherwise. Records are append-only; a rollback reverts
the pointer's commit. The branch is built without the working tree and never replaces commits of others. The caller
decides what may be approved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import config
from ml.errors import ConfigError, GitError, Refused
from ml.gitops import commit_messages, serving_pointer
from ml.gitops.repository import BOT, Repository

PREFIX = "approve/"


@dataclass(frozen=True, kw_only=True)
class ApprovalBranch:
    """The branch of an approval; `state` says what `propose` did to it."""

    record: config.ApprovalRecord
    branch: str
    record_commit: str
    pointer_commit: str
    state: Literal["created", "kept", "rebuilt", "on main already"]
    signed: bool
    """Whether it has a statement of provenance."""


def branch_name(approval: int) -> str:
    """The name of the branch of approval `approval`, e.g. approve/0007."""
    return f"{PREFIX}{commit_messages.number(approval)}"


def number_of(branch: str) -> int | None:
    """The approval number of `branch`; None if it is no approval branch (as approve/mine or approve/7)."""
    digits = branch.removeprefix(PREFIX)
    number = int(digits) if digits.isdecimal() else 0
    return number if number > 0 and branch == branch_name(number) else None


def read_record(repository: Repository, revision: str, approval: int) -> config.ApprovalRecord | None:
    """The record of `approval` committed at `revision`; None if there is none, ConfigError if it is invalid."""
    path = config.approval_path(approval)
    content = repository.show(revision, path)
    if content is None:
        return None
    record = config.parse(content.decode("utf-8", "replace"), path, config.ApprovalRecord)
    if record.approval != approval:
        raise ConfigError(f"{path}: approval must be {approval}, as the file's name says (got {record.approval})")
    return record


def propose(
    repository: Repository,
    record: config.ApprovalRecord,
    *,
    main: str = "main",
    sign: Callable[[config.ApprovalRecord], bytes | None] = lambda _: None,
) -> ApprovalBranch:
    """Creates the branch that approves `record`, or keeps the existing one. Idempotent.

    A branch that is behind main is rebuilt on top of it, with the creation time and the statement of its record.

    Args:
        sign: makes the signed statement of a new record, which is committed beside it; None for none.

    Raises:
        Refused: main or the branch already has another record of this number, or main already points at a later
        approval. GitError: the branch is behind main and has commits of others.
    """
    base, name = repository.commit_of(main), branch_name(record.approval)
    on_main = read_record(repository, base, record.approval)
    if on_main is not None:
        return _on_main(repository, base, on_main, record, main)
    tip = repository.resolve(f"refs/heads/{name}")
    if tip is None:
        return _build(repository, base, record, None, "created", statement=sign(record))
    on_branch = read_record(repository, tip, record.approval)
    if on_branch is None or not _same(on_branch, record):
        raise Refused(
            f"branch {name} holds {'another record' if on_branch else 'no record'} of this approval, and a record is "
            f"never rewritten; check it, and delete the branch if it is wrong"
        )
    if repository.is_ancestor(base, tip):
        return _existing(repository, tip, on_branch, "kept")
    if any(commit.author != BOT.name for commit in repository.log(f"{base}..{tip}")):
        raise GitError(f"branch {name} has commits of people and is behind {main}; merge {main} into it")
    statement = repository.show(tip, config.statement_path(record.approval))
    return _build(repository, base, on_branch, tip, "rebuilt", statement=statement or sign(on_branch))


def _on_main(
    repository: Repository, base: str, on_main: config.ApprovalRecord, record: config.ApprovalRecord, main: str
) -> ApprovalBranch:
    number = commit_messages.number(record.approval)
    if not _same(on_main, record):
        raise Refused(
            f"{config.approval_path(record.approval)} exists on {main} with other content, and a record is never "
            f"rewritten; approval {number} is {on_main.model_package_arn}, sha256:{on_main.artifact.sha256[:12]}…"
        )
    file = serving_pointer.of_approvals(repository, base)
    pointed = serving_pointer.read(repository, base, file).approval
    if record.approval not in (pointed, serving_pointer.read(repository, base).approval):
        again = f": `fraudops rollback --to {number}`" if file == config.SERVING else f", set it in {file}"
        raise Refused(
            f"approval {number} was merged earlier and {main} now points at "
            f"{commit_messages.number(pointed) if pointed else 'none'}; to serve it again{again}"
        )
    return _existing(repository, base, on_main, "on main already")


def _existing(
    repository: Repository, tip: str, record: config.ApprovalRecord, state: Literal["kept", "on main already"]
) -> ApprovalBranch:
    first = repository.log(tip, config.approval_path(record.approval))[-1]
    files = dict.fromkeys((serving_pointer.of_approvals(repository, tip), config.SERVING))
    moves = (move for file in files for move in serving_pointer.moves(repository, tip, file))
    pointer = [move.pointer for move in moves if move.after == record.approval]
    if not pointer:
        raise Refused(
            f"branch {branch_name(record.approval)} does not set the serving pointer to its approval; "
            "delete it and run this again"
        )
    return ApprovalBranch(
        record=record,
        branch=branch_name(record.approval),
        record_commit=first.sha,
        pointer_commit=pointer[-1].sha,
        state=state,
        signed=repository.show(tip, config.statement_path(record.approval)) is not None,
    )


def _build(
    repository: Repository,
    base: str,
    record: config.ApprovalRecord,
    seen: str | None,
    state: Literal["created", "rebuilt"],
    *,
    statement: bytes | None,
) -> ApprovalBranch:
    file = serving_pointer.of_approvals(repository, base)
    text = serving_pointer.read_text(repository, base, file)
    former = serving_pointer.read(repository, base, file).approval
    if former == record.approval:
        raise Refused(
            f"{file} points at approval {commit_messages.number(former)}, which has no record on main; "
            "move the pointer back first: only the approval's own commit may set it"
        )
    name = branch_name(record.approval)
    files: dict[str | Path, bytes] = {config.approval_path(record.approval): config.dump(record).encode()}
    if statement is not None:
        files[config.statement_path(record.approval)] = statement
    first, second = repository.build_branch(
        name,
        base,
        [
            (files, commit_messages.record(record)),
            (
                {file: serving_pointer.set_approval(text, record.approval, file).encode()},
                commit_messages.pointer(record.approval, former, staging=file == config.STAGING),
            ),
        ],
        seen=seen,
    )
    return ApprovalBranch(
        record=record,
        branch=name,
        record_commit=first,
        pointer_commit=second,
        state=state,
        signed=statement is not None,
    )


def _same(one: config.ApprovalRecord, other: config.ApprovalRecord) -> bool:
    """Whether two records are equal except for their creation time."""
    return one.model_copy(update={"created": other.created}) == other
