"""Reads which merged pull requests brought commits to a branch, and who approved them. Writes nothing.

A pull request is found by its merge commit, never by its branch or its title: anybody can reuse those. A commit without
a pull request costs two requests.

Source: GitHub REST API, "Get a commit", "List pull requests associated with a commit", "Get a pull request", "List
reviews for a pull request".
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from github import GithubException

from ml.gitops.github_client import GitHub, is_invalid, is_not_found

if TYPE_CHECKING:
    from github.PullRequest import PullRequest as Pull
    from github.Repository import Repository

_DECIDES = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
_GHOST = "ghost"
"""What GitHub calls an account that was deleted."""


@dataclass(frozen=True, kw_only=True)
class MergedPull:
    """A merged pull request. `approved_by` are those whose latest review approves exactly what was merged."""

    number: int
    url: str
    title: str
    branch: str
    head_sha: str
    """The commit that was merged."""
    author: str
    merged_by: str
    merged_at: datetime
    approved_by: tuple[str, ...]


def by_merge_commit(github: GitHub, commits: Collection[str], *, base: str = "main") -> dict[str, MergedPull]:
    """The pull request of each of `commits` that is the merge commit of one into `base`; others are left out.

    Raises:
        GitHubError: GitHub cannot be reached, or the token may not read pull requests.
    """
    wanted = sorted(set(commits))

    def operation(repository: Repository) -> dict[str, MergedPull]:
        found = ((sha, _of(repository, sha, base)) for sha in wanted)
        return {sha: pull for sha, pull in found if pull is not None}

    return github.run(f"looking for the pull requests of {len(wanted)} commits on {base}", operation) if wanted else {}


def _of(repository: Repository, sha: str, base: str) -> MergedPull | None:
    try:
        listed = list(repository.get_commit(sha).get_pulls())
    except GithubException as error:
        if is_not_found(error) or is_invalid(error):  # GitHub does not have the commit
            return None
        raise
    for pull in listed:
        if pull.merged_at is not None and pull.merge_commit_sha == sha and pull.base.ref == base:
            return _read(repository, pull.number, pull.merged_at)
    return None


def _read(repository: Repository, number: int, merged_at: datetime) -> MergedPull:
    pull = repository.get_pull(number)
    return MergedPull(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        branch=pull.head.ref,
        head_sha=pull.head.sha,
        author=pull.user.login if pull.user is not None else _GHOST,
        merged_by=pull.merged_by.login if pull.merged_by is not None else _GHOST,
        merged_at=merged_at if merged_at.tzinfo else merged_at.replace(tzinfo=UTC),
        approved_by=_approvers(pull),
    )


def _approvers(pull: Pull) -> tuple[str, ...]:
    latest = {
        review.user.login: review
        for review in pull.get_reviews()  # oldest first
        if review.user is not None and review.state in _DECIDES
    }
    return tuple(
        sorted(
            login
            for login, review in latest.items()
            if review.state == "APPROVED" and review.commit_id == pull.head.sha
        )
    )
