"""Reads a repository's identity and sets its Actions variables, for `fraudops bootstrap`.

Sets only variables that the stacks define; all others are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import GitHub, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

Outcome = Literal["created", "updated", "kept"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A repository's name in GitHub's spelling, and the ids of it and its owner, which survive a rename."""

    full_name: str
    owner_id: int
    repository_id: int


def identity(github: GitHub) -> Identity:
    """Reads the repository's identity. The configured name may differ in case."""

    def operation(repository: Repository) -> Identity:
        # An explicit request, because the lazy client would repeat the name that it was given.
        _, found = repository.requester.requestJsonAndCheck("GET", repository.url)
        return Identity(full_name=found["full_name"], owner_id=found["owner"]["id"], repository_id=found["id"])

    return github.run(f"reading {github.repository}", operation)


def set_variables(github: GitHub, values: Mapping[str, str]) -> dict[str, Outcome]:
    """Sets the repository's Actions variables to `values`; changes only those that differ.

    Raises:
        GitHubError: the token may not write variables (it needs administration of the repository).
    """
    return {name: _set(github, name, value) for name, value in values.items()}


def _set(github: GitHub, name: str, value: str) -> Outcome:
    from github import GithubException

    def operation(repository: Repository) -> Outcome:
        url = f"{repository.url}/actions/variables"
        try:
            _, found = repository.requester.requestJsonAndCheck("GET", f"{url}/{name}")
        except GithubException as error:
            if not is_not_found(error):
                raise
            repository.requester.requestJsonAndCheck("POST", url, input={"name": name, "value": value})
            return "created"
        if found["value"] == value:
            return "kept"
        repository.requester.requestJsonAndCheck("PATCH", f"{url}/{name}", input={"name": name, "value": value})
        return "updated"

    return github.run(f"setting the variable {name}", operation)
