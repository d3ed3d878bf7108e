"""Reads how the subject of a repository's OIDC tokens names the repository. Changes no setting.

A token's `sub` is `repo:OWNER/NAME:…`, or `repo:OWNER@ID/NAME@ID:…` in repositories created, renamed or transferred
since 2026-07-15 and in those that chose the immutable form. A role in AWS has to trust the one that GitHub issues.

Source: GitHub REST API, "Get the customization template for an OIDC subject claim for a repository".
"""

from __future__ import annotations

from dataclasses import dataclass

from ml.errors import GitHubError
from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub

_PREFIX = "repo:"


@dataclass(frozen=True, kw_only=True)
class OidcSubject:
    """How `sub` of the repository's OIDC tokens names the repository: OWNER/NAME or OWNER@ID/NAME@ID.

    `repository` is None if the repository has a subject template of its own, whose claims are `own_claims`.
    """

    repository: str | None
    own_claims: tuple[str, ...] = ()

    @property
    def prefix(self) -> str:
        """The beginning of `sub`."""
        return f"{_PREFIX}{self.repository}"


def read(github: GitHub) -> OidcSubject:
    """The repository as its tokens name it, in GitHub's spelling.

    Raises:
        GitHubError: the setting cannot be read; a guess would trust a form that GitHub may not issue.
    """
    setting = rest_reader.document(github, "the OIDC subject", "/actions/oidc/customization/sub")
    # The lazy client would repeat the name that it was given, which may differ in case.
    found = rest_reader.document(github, "the repository", "")
    if setting is None or found is None:
        raise GitHubError(f"reading the OIDC subject of {github.repository}: GitHub shows none to this token")
    if setting.get("use_default") is False:
        return OidcSubject(repository=None, own_claims=tuple(setting.get("include_claim_keys") or ()))
    prefix = str(setting.get("sub_claim_prefix") or "")
    if prefix.startswith(_PREFIX):
        return OidcSubject(repository=prefix.removeprefix(_PREFIX))
    owner, _, name = str(found["full_name"]).partition("/")
    if setting.get("use_immutable_subject"):
        return OidcSubject(repository=f"{owner}@{found['owner']['id']}/{name}@{found['id']}")
    return OidcSubject(repository=f"{owner}/{name}")


def own_template(github: GitHub, found: OidcSubject) -> str:
    """Why no role trusts a repository with a subject template of its own, and what to do."""
    return (
        f"{github.repository} has a subject template of its own for OIDC tokens (claims: "
        f"{', '.join(found.own_claims) or 'none'}), which no role trusts; set it back: gh api --method PUT "
        f"repos/{github.repository}/actions/oidc/customization/sub -F use_default=true"
    )


def repository_in_subject(github: GitHub) -> str:
    """OWNER/NAME or OWNER@ID/NAME@ID, as the tokens of the repository's jobs contain it.

    Raises:
        GitHubError: the setting cannot be read, or the repository has a subject template of its own.
    """
    found = read(github)
    if found.repository is None:
        raise GitHubError(own_template(github, found))
    return found.repository
