"""Sets and deletes a repository's Actions variables, for `fraudops bootstrap` and `fraudops teardown`.

Touches only variables that the stacks define; all others are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from ml.gitops.github_client import GitHub, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

Outcome = Literal["created", "updated", "kept"]


def set_variables(github: GitHub, values: Mapping[str, str]) -> dict[str, Outcome]:
    """Sets the repository's Actions variables to `values`; changes only those that differ.

    Raises:
        GitHubError: the token may not write variables (it needs administration of the repository).
    """
    return {name: _set(github, name, value) for name, value in values.items()}


def _set(github: GitHub, name: str, value: str) -> Outcome:
    def operation(repository: Repository) -> Outcome:
        url, found = f"{repository.url}/actions/variables", _get(repository, name)
        if found is None:
            repository.requester.requestJsonAndCheck("POST", url, input={"name": name, "value": value})
            return "created"
        if found == value:
            return "kept"
        repository.requester.requestJsonAndCheck("PATCH", f"{url}/{name}", input={"name": name, "value": value})
        return "updated"

    return github.run(f"setting the variable {name}", operation)


def existing(github: GitHub, names: Iterable[str]) -> list[str]:
    """Those of `names` that the repository has as Actions variables."""

    def operation(repository: Repository) -> list[str]:
        return [name for name in names if _get(repository, name) is not None]

    return github.run(f"reading the variables of {github.repository}", operation)


def delete_variables(github: GitHub, names: Iterable[str]) -> None:
    """Deletes the variables; one that does not exist is no error."""
    from github import GithubException

    def operation(repository: Repository) -> None:
        for name in names:
            try:
                repository.requester.requestJsonAndCheck("DELETE", f"{repository.url}/actions/variables/{name}")
            except GithubException as error:
                if not is_not_found(error):
                    raise

    github.run(f"deleting variables of {github.repository}", operation)


def _get(repository: Repository, name: str) -> str | None:
    from github import GithubException

    try:
        _, found = repository.requester.requestJsonAndCheck("GET", f"{repository.url}/actions/variables/{name}")
    except GithubException as error:
        if not is_not_found(error):
            raise
        return None
    return str(found["value"])
