"""Finds how an approval reached main: its merge commit in Git, and its pull request and reviews on GitHub. Reads only.

The merge commit is Git's word, the pull request GitHub's; who merged is taken from GitHub where there is a pull
request, because the author of a commit proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ml import config
from ml.errors import GitHubError
from ml.gitops import merged_pulls
from ml.gitops.github_client import GitHub
from ml.gitops.merged_pulls import MergedPull
from ml.gitops.repository import Commit, Repository

_MERGE_PARENTS = 2


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The commit that brought a record to main, and its pull request.

    `pull` is None if GitHub knows none of that commit, or was not asked; then `unread` says why.
    """

    commit: str
    author: str
    time: datetime
    subject: str
    pull: MergedPull | None
    unread: str = ""


def landing_commit(repository: Repository, revision: str, approval: int) -> Commit | None:
    """The first-parent commit of `revision` that brought the record of `approval`; None if there is no record."""
    commits = repository.log(revision, config.approval_path(approval), first_parent=True)
    return commits[-1] if commits else None


def of(commits: Sequence[Commit], *, base: str = "main") -> dict[str, Origin]:
    """The origin of what each of `commits` brought to `base`, by its sha.

    A GitHub that cannot be asked is no error, and is said.
    """
    pulls, unread = dict[str, MergedPull](), ""
    try:
        pulls = merged_pulls.by_merge_commit(GitHub.from_environment(), [each.sha for each in commits], base=base)
    except GitHubError as error:
        unread = str(error)
    return {
        each.sha: Origin(
            commit=each.sha,
            author=each.author,
            time=each.time,
            subject=each.subject,
            pull=pulls.get(each.sha),
            unread=unread,
        )
        for each in commits
    }


def differences(commit: Commit, origin: Origin) -> list[str]:
    """Where Git and GitHub say different things about what `commit` merged, and what nobody reviewed.

    A commit that came to the branch without a pull request, and a pull request without an approving review of what was
    merged, are differences too: the rules of main ask for both. Nothing is said if GitHub was not asked.
    """
    pull = origin.pull
    if pull is None:
        return (
            [] if origin.unread else [f"commit {commit.sha[:12]} came to the branch without a pull request on GitHub"]
        )
    found = []
    if len(commit.parents) == _MERGE_PARENTS and commit.parents[1] != pull.head_sha:
        found.append(
            f"#{pull.number} on GitHub merged {pull.head_sha[:12]}, and its merge commit {commit.sha[:12]} has "
            f"{commit.parents[1][:12]}"
        )
    if not pull.approved_by:
        found.append(
            f"#{pull.number} was merged by {pull.merged_by} without a review that approves {pull.head_sha[:12]}"
        )
    return found
