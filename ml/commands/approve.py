"""`fraudops approve`: proposes a registered package as two commits on a branch. Merging the branch approves it.

It writes to Git only. With `merge` it also merges the branch; the author is the person who runs it. It makes no signed
statement of provenance: only the role of train.yml may, with `fraudops propose`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.errors import GitError
from ml.gitops import commit_messages
from ml.gitops.repository import Identity, Repository
from ml.records.package_proposal import propose_package


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A proposed approval: its branch and the two commits on it; `merged` is the merge commit, if one was made."""

    approval: int
    model_package_arn: str
    artifact_sha256: str
    branch: str
    record_commit: str
    pointer_commit: str
    state: Literal["created", "kept", "rebuilt", "on main already"]
    merged: str | None


def approve(
    root: Path,
    model_package_arn: str,
    *,
    execution_arn: str | None = None,
    merge: bool = False,
    approver: Identity | None = None,
    main: str = "main",
) -> Approval:
    """Creates the branch approve/NNNN for a package; a second call for the same package changes nothing.

    Args:
        execution_arn: the pipeline execution that registered the package; if None, the one that evaluated it.
        merge: also merge the branch into `main`, which must be checked out: that is the approval.
        approver: the author of the merge; if None, Git's configured user.

    Raises:
        Refused, OutOfDate, CloudError: as `ml.records.package_proposal.propose_package`.
        GitError: the branch cannot be created or merged; nothing was lost.
    """
    repository = Repository.find(root)
    if merge and repository.branch() != main:
        raise GitError(f"merging an approval needs {main} checked out (it is {repository.branch() or 'a commit'})")
    proposal = propose_package(repository, model_package_arn, execution_arn=execution_arn, main=main)
    record, merged = proposal.record, None
    if merge and proposal.state != "on main already":
        merged = repository.merge(proposal.branch, commit_messages.merge(record, proposal.branch), author=approver)
    return Approval(
        approval=record.approval,
        model_package_arn=record.model_package_arn,
        artifact_sha256=record.artifact.sha256,
        branch=proposal.branch,
        record_commit=proposal.record_commit,
        pointer_commit=proposal.pointer_commit,
        state=proposal.state,
        merged=merged,
    )
