"""Reads how the subject of a repository's OIDC tokens names the repository. Changes no setting.

A token's `sub` is `repo:OWNER/NAME:…`, or `repo:OWNER@ID/NAME@ID:…` in repositories created, renamed or transferred
since 2026-07-15 and in those that chose the immutable form. A role in AWS has to trust the one that GitHub issues.

Source: GitHub REST API, "Get the customization template for an OIDC subject claim for a repository".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml.errors import GitHubError
from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Repository import Repository

_PREFIX = "repo:"


def repository_in_subject(github: GitHub) -> str:
    """OWNER/NAME or OWNER@ID/NAME@ID, in GitHub's spelling, as the tokens of the repository's jobs contain it.

    Raises:
        GitHubError: the setting cannot be read, or the repository has a subject template of its own, which no role
            could be made for.
    """

    def operation(repository: Repository) -> tuple[dict[str, Any], dict[str, Any]]:
        # Explicit requests, because the lazy client would repeat the name that it was given, which may differ in case.
        _, found = repository.requester.requestJsonAndCheck("GET", repository.url)
        _, setting = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/actions/oidc/customization/sub")
        return found, setting

    found, setting = github.run(f"reading the OIDC subject of {github.repository}", operation)
    if setting.get("use_default") is False:
        keys = ", ".join(setting.get("include_claim_keys") or []) or "none"
        raise GitHubError(
            f"{github.repository} has a subject template of its own for OIDC tokens (claims: {keys}), which the roles "
            "cannot trust; set it back: gh api --method PUT "
            f"repos/{github.repository}/actions/oidc/customization/sub -F use_default=true"
        )
    prefix = str(setting.get("sub_claim_prefix") or "")
    if prefix.startswith(_PREFIX):
        return prefix.removeprefix(_PREFIX)
    if setting.get("use_immutable_subject"):
        owner, _, name = str(found["full_name"]).partition("/")
        return f"{owner}@{found['owner']['id']}/{name}@{found['id']}"
    return str(found["full_name"])
