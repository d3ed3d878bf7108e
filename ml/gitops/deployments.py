"""Records deployments on GitHub, with statuses of their own. They inform only; nothing is decided from them.

Git states which model is to serve, and the endpoint which one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ml.gitops.commit_statuses import shorten
from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Deployment import Deployment as Api
    from github.Repository import Repository

DeploymentState = Literal["error", "failure", "in_progress", "queued", "pending", "success", "inactive"]

_TASK = "deploy:model"


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment on GitHub; `state` is its latest status, None if it has none yet."""

    id: int
    url: str
    sha: str
    environment: str
    state: DeploymentState | None


def begin_deployment(
    github: GitHub, sha: str, *, environment: str, description: str, payload: Mapping[str, Any] | None = None
) -> Deployment:
    """The latest deployment to `environment` if it is of commit `sha`, else a new one; a re-run continues the former.

    GitHub must merge nothing and require no status: what may be deployed is already decided.
    """

    def operation(repository: Repository) -> Deployment:
        latest = next(iter(repository.get_deployments(environment=environment, task=_TASK)), None)  # newest first
        if latest is not None and latest.sha == sha:
            return _deployment(latest, github)
        created = repository.create_deployment(
            sha,
            task=_TASK,
            auto_merge=False,
            required_contexts=[],
            payload=dict(payload or {}),
            environment=environment,
            description=shorten(description),
            transient_environment=False,
            production_environment=environment == "production",
        )
        return _deployment(created, github, new=True)

    return github.run(f"recording the deployment of {sha[:12]} to {environment}", operation)


def set_deployment(
    github: GitHub,
    deployment: Deployment,
    *,
    state: DeploymentState,
    description: str,
    log_url: str | None = None,
    environment_url: str | None = None,
) -> None:
    """Posts a status of the deployment. A success makes the environment's former deployments inactive."""
    content: dict[str, Any] = {"state": state, "description": shorten(description), "auto_inactive": True}
    content |= {"log_url": log_url} if log_url else {}
    content |= {"environment_url": environment_url} if environment_url else {}

    def operation(repository: Repository) -> None:
        url = f"{repository.url}/deployments/{deployment.id}/statuses"
        repository.requester.requestJsonAndCheck("POST", url, input=content)

    github.run(f"posting the status of deployment {deployment.id}", operation)


def _deployment(found: Api, github: GitHub, *, new: bool = False) -> Deployment:
    latest = None if new else next(iter(found.get_statuses()), None)
    return Deployment(
        id=found.id,
        url=f"{github.url}/deployments/{found.environment}",
        sha=found.sha,
        environment=found.environment,
        state=latest.state if latest is not None else None,  # type: ignore[arg-type]  # GitHub's states
    )
