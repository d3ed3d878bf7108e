"""Reads JSON documents, and listings of a repository, from GitHub's REST API, version 2022-11-28. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml.gitops.github_client import GitHub, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

_PAGE = 30
"""Items of a page: GitHub's default, which every listing accepts."""


def document(github: GitHub, what: str, path: str) -> Any:
    """The JSON document at `path` below the repository; None if there is none (404).

    Raises:
        GitHubError: GitHub refuses or cannot be reached; the message names `what`.
    """
    return github.run(
        f"reading {what} of {github.repository}", lambda repository: _get(repository, repository.url + path)
    )


def public_document(github: GitHub, what: str, path: str) -> Any:
    """The JSON document at `path` of the API, such as `/apps/SLUG`; None if there is none (404).

    Raises:
        GitHubError: as of `document`.
    """
    return github.run(
        f"reading {what}", lambda repository: _get(repository, repository.url.partition("/repos/")[0] + path)
    )


def items(github: GitHub, what: str, path: str, key: str) -> list[dict[str, Any]]:
    """All items of a listing whose pages have the list `key` and `total_count`; empty if there is no such listing.

    Raises:
        GitHubError: as of `document`.
    """
    found: list[dict[str, Any]] = []
    while True:
        page = document(github, what, f"{path}?per_page={_PAGE}&page={len(found) // _PAGE + 1}") or {}
        found += page.get(key) or []
        if not page.get(key) or len(found) >= page["total_count"]:
            return found


def _get(repository: Repository, url: str) -> Any:
    from github import GithubException

    try:
        return repository.requester.requestJsonAndCheck("GET", url)[1]
    except GithubException as error:
        if is_not_found(error):
            return None
        raise
