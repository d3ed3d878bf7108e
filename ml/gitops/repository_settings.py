"""Sets and reads what the workflows need of any repository: read-only tokens, pull requests by Actions, merge commits.

It never loosens a setting. Names and values are those of GitHub's REST API, version 2022-11-28.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml.errors import GitHubError
from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Repository import Repository

_METHODS = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}


class NoRepository(GitHubError):
    """GitHub answers as if there were no such repository: its name is wrong, or the token may not read it."""


@dataclass(frozen=True, kw_only=True)
class WorkflowTokens:
    """The default permissions of workflow tokens, and whether they may create and approve pull requests."""

    default_permissions: str
    may_create_pull_requests: bool


def require(github: GitHub) -> None:
    """Checks that the token can read the repository. GitHub answers 404 both for a wrong name and for a private one.

    Raises:
        NoRepository: GitHub shows no such repository to the token.
        GitHubError: GitHub rejects the token, or cannot be reached.
    """
    if rest_reader.document(github, "the repository", "") is None:
        raise NoRepository(
            f"GitHub shows no repository {github.repository} to this token; correct the name (OWNER/NAME), or give "
            "GITHUB_TOKEN access to it"
        )


def configure(github: GitHub) -> None:
    """Sets read-only workflow tokens, pull requests by Actions, and merge commits as the only method.

    Raises:
        GitHubError: the token lacks administration of the repository.
    """

    def operation(repository: Repository) -> None:
        request = repository.requester.requestJsonAndCheck
        wanted = {"default_workflow_permissions": "read", "can_approve_pull_request_reviews": True}
        request("PUT", f"{repository.url}/actions/permissions/workflow", input=wanted)
        request("PATCH", repository.url, input={name: method == "merge" for method, name in _METHODS.items()})

    github.run(f"setting up Actions and merges of {github.repository}", operation)


def merge_methods(github: GitHub) -> dict[str, bool]:
    """Whether pull requests may be merged by each method: merge, squash, rebase; empty if the token may not see it."""
    found = rest_reader.document(github, "the repository", "") or {}
    return {method: bool(found[name]) for method, name in _METHODS.items() if name in found}


def workflow_tokens(github: GitHub) -> WorkflowTokens | None:
    """The settings of workflow tokens; None if GitHub shows none."""
    found = rest_reader.document(github, "the workflow permissions", "/actions/permissions/workflow")
    if found is None:
        return None
    return WorkflowTokens(
        default_permissions=found["default_workflow_permissions"],
        may_create_pull_requests=found["can_approve_pull_request_reviews"],
    )
