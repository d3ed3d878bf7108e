"""Reads a repository's identity and sets its Actions variables, for `fraudops bootstrap`.

Variables are set to what the stacks say and to nothing else; those that people added stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import GitHub, absent

if TYPE_CHECKING:
    from github.Repository import Repository

Outcome = Literal["created", "updated", "kept"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A repository's name as GitHub itself writes it, and the numbers that it and its owner keep under any name."""

    full_name: str
    owner_id: int
    repository_id: int


def identity(github: GitHub) -> Identity:
    """How GitHub knows the repository, whatever case it was asked for in."""

    def errand(repository: Repository) -> Identity:
        # Asked for, since the client would otherwise repeat the name that it was given.
        _, found = repository.requester.requestJsonAndCheck("GET", repository.url)
        return Identity(full_name=found["full_name"], owner_id=found["owner"]["id"], repository_id=found["id"])

    return github.run(f"reading {github.repository}", errand)


def set_variables(github: GitHub, values: Mapping[str, str]) -> dict[str, Outcome]:
    """Lets the repository's Actions variables say `values`; run again it changes only what differs.

    Raises:
        GitHubError: the token may not write variables (it needs administration of the repository).
    """
    return {name: _set(github, name, value) for name, value in values.items()}


def _set(github: GitHub, name: str, value: str) -> Outcome:
    from github import GithubException

    def errand(repository: Repository) -> Outcome:
        url = f"{repository.url}/actions/variables"
        try:
            _, found = repository.requester.requestJsonAndCheck("GET", f"{url}/{name}")
        except GithubException as error:
            if not absent(error):
                raise
            repository.requester.requestJsonAndCheck("POST", url, input={"name": name, "value": value})
            return "created"
        if found["value"] == value:
            return "kept"
        repository.requester.requestJsonAndCheck("PATCH", f"{url}/{name}", input={"name": name, "value": value})
        return "updated"

    return github.run(f"setting the variable {name}", errand)
