"""Reads, sets and deletes a repository's Actions variables.

Changes only variables that it is given; all others are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub, is_not_found

if TYPE_CHECKING:
    from github.Repository import Repository

Outcome = Literal["created", "updated", "kept"]


def read(github: GitHub) -> dict[str, str]:
    """Every Actions variable of the repository.

    Raises:
        GitHubError: the token may not read variables.
    """
    listed = rest_reader.items(github, "the variables", "/actions/variables", "variables")
    return {str(item["name"]): str(item["value"]) for item in listed}


def set_variables(github: GitHub, values: Mapping[str, str]) -> dict[str, Outcome]:
    """Sets the repository's Actions variables to `values`; changes only those that differ.

    Raises:
        GitHubError: the token may not write variables (it needs administration of the repository).
    """
    return {name: _set(github, name, value) for name, value in values.items()}


def _set(github: GitHub, name: str, value: str) -> Outcome:
    def operation(repository: Repository) -> Outcome:
        # Read again by each attempt: the answer to an earlier attempt's write may have been lost.
        url, found = f"{repository.url}/actions/variables", read(github).get(name)
        if found is None:
            repository.requester.requestJsonAndCheck("POST", url, input={"name": name, "value": value})
            return "created"
        if found == value:
            return "kept"
        repository.requester.requestJsonAndCheck("PATCH", f"{url}/{name}", input={"name": name, "value": value})
        return "updated"

    return github.run(f"setting the variable {name}", operation)


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
