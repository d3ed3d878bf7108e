"""`fraudops rollback`: prepares the commit that lets a former model serve again; merging and deploying it does so.

It writes only to Git, moves only the pointer, and goes back only to a model that has served.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.aws import deployment, platform
from ml.console import note
from ml.errors import CloudError, GitError, Refused
from ml.gitops import messages, rollbacks, serving
from ml.gitops.repository import Identity, Repository


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A prepared rollback. `reverted` is the pointer's commit that it takes back, if it goes to the approval before."""

    target: int
    current: int
    branch: str
    commit: str
    reverted: str | None
    state: Literal["created", "kept", "rebuilt"]
    merged: str | None
    says: str


def rollback(
    root: Path,
    *,
    to: int | None = None,
    merge: bool = False,
    approver: Identity | None = None,
    main: str = "main",
) -> Rollback:
    """Makes the branch rollback/NNNN, on which the pointer is back at a model that served before.

    Args:
        to: the approval to go back to; if None, the one that served before this one. Going back twice goes further
            back; to go forth again, name it.
        merge: also merges the branch into `main`, which must be checked out.
        approver: who the merge says did it; if None, whoever Git is configured for.

    Raises:
        Refused: nothing served before, or `to` never did.
        GitError: the branch cannot be made or merged as things stand.
    """
    repository = Repository.find(root)
    if merge and repository.branch() != main:
        raise GitError(f"merging a rollback needs {main} checked out (it is {repository.branch() or 'a commit'})")
    target = _target(repository, main, to)
    prepared = rollbacks.prepare(repository, target, main=main)
    merged = None
    if merge:
        merged = repository.merge(prepared.branch, messages.merge_rollback(target, prepared.branch), author=approver)
    how = f"by reverting {prepared.reverted[:12]}" if prepared.reverted else "by moving the pointer"
    then = "run `fraudops deploy`" if merged else f"merge {prepared.branch} into {main}, then run `fraudops deploy`"
    return Rollback(
        target=target,
        current=prepared.current,
        branch=prepared.branch,
        commit=prepared.commit,
        reverted=prepared.reverted,
        state=prepared.state,
        merged=merged,
        says=f"Serves approval {target:04d} again in place of {prepared.current:04d}, {how}. To let it: {then}.",
    )


def _target(repository: Repository, main: str, to: int | None) -> int:
    history = serving.moves(repository, main)
    pointed = {move.after for move in history} - {None}
    served = _served()
    if to is not None:
        if to not in pointed or (served is not None and to not in served):
            known = sorted(number for number in pointed if number is not None and (served is None or number in served))
            names = ", ".join(f"{number:04d}" for number in known) or "none"
            raise Refused(
                f"approval {to:04d} has never served, so there is no going back to it (those that have: {names})"
            )
        return to
    former = [number for number in serving.former(history) if served is None or number in served]
    if not former:
        raise Refused(f"no model served on {main} before the one that serves now, so there is nothing to go back to")
    return former[0]


def _served() -> set[int] | None:
    """The approvals whose deployment has succeeded; None where that cannot be asked, as in an outage of AWS.

    A rollback is needed most when something is down: then the history of the pointer in Git has to do.
    """
    try:
        return {past.approval for past in deployment.history(platform.read().bucket) if past.status == "succeeded"}
    except CloudError as error:
        note(f"deploy/history/ could not be read ({error}); going by the pointer's history in Git alone")
        return None
