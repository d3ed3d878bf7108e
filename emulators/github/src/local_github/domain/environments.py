"""Finds the environment of a job and decides whether the job's ref may deploy to it. Approves nothing."""

from __future__ import annotations

from local_github.domain.environment_records import Environment
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository


def find(repository: Repository, name: str) -> Environment | None:
    """The environment with that name; case is ignored."""
    return repository.environments.get(name.lower())


def find_or_create(state: State, repository: Repository, name: str) -> Environment:
    """The environment with that name; a new one has no protection, as GitHub creates it for a job."""
    found = find(repository, name)
    if found is None:
        moment = state.now()
        found = Environment(id=state.new_id(), name=name, created=moment, updated=moment)
        repository.environments[name.lower()] = found
    return found


def refusal(repository: Repository, environment: Environment, ref: str) -> str | None:
    """Why a job on `ref` may not deploy to the environment, in GitHub's words; None if it may.

    Protected branches are those with branch protection; a ruleset protects none in this sense. "If no branch protection
    rules are defined for any branch in the repository, then all branches can deploy": GitHub Docs, "Deployments and
    environments", "Deployment branches and tags".
    """
    allowed = True
    if environment.protected_branches:
        branch = ref.removeprefix("refs/heads/")
        allowed = branch != ref and (not repository.protections or branch in repository.protections)
    elif environment.custom_policies:
        allowed = any(policy.matches(ref) for policy in environment.policies)
    if allowed:
        return None
    kind = "Tag" if ref.startswith("refs/tags/") else "Branch"
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/").removeprefix("refs/pull/")
    return f'{kind} "{name}" is not allowed to deploy to {environment.name} due to environment protection rules.'
