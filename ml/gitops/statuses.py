"""Commit statuses and deployments on GitHub.

A status is kept for ever and the latest of its context counts. A deployment names a commit and an environment; its
statuses say how it went. Neither decides anything: Git says what serves, and the endpoint what does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from ml.gitops.github_client import GitHub

if TYPE_CHECKING:
    from github.Deployment import Deployment as Api
    from github.Repository import Repository

State = Literal["error", "failure", "pending", "success"]
DeploymentState = Literal["error", "failure", "in_progress", "queued", "pending", "success", "inactive"]

DESCRIPTION_LIMIT = 140
CI = "fraudops/ci"
TRAINING = "fraudops/training"
_TASK = "deploy:model"


@dataclass(frozen=True, kw_only=True)
class Status:
    """The latest word of one context on a commit."""

    context: str
    state: State
    description: str
    target_url: str | None
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A deployment on GitHub; `state` is its latest, None where nothing has been said of it yet."""

    id: int
    url: str
    sha: str
    environment: str
    state: DeploymentState | None


def set_status(
    github: GitHub, sha: str, *, context: str, state: State, description: str, target_url: str | None = None
) -> None:
    """Says `state` of the commit `sha` in `context`; a description longer than GitHub takes ends in an ellipsis."""
    content = {"state": state, "context": context, "description": shortened(description)}
    if target_url:
        content["target_url"] = target_url

    def errand(repository: Repository) -> None:
        repository.requester.requestJsonAndCheck("POST", f"{repository.url}/statuses/{sha}", input=content)

    github.run(f"saying {context} of {sha[:12]}", errand)


def status(github: GitHub, sha: str, context: str) -> Status | None:
    """The latest status of `context` on the commit `sha`; None where it has none."""
    return github.run(
        f"reading {context} of {sha[:12]}", lambda repository: next(_statuses(repository, sha, context), None)
    )


def history(github: GitHub, sha: str, context: str) -> list[Status]:
    """Everything that was ever said in `context` of the commit `sha`, the latest first."""
    return github.run(f"reading {context} of {sha[:12]}", lambda repository: list(_statuses(repository, sha, context)))


def _statuses(repository: Repository, sha: str, context: str) -> Iterator[Status]:
    for each in repository.get_commit(sha).get_statuses():  # newest first
        if each.context == context:
            yield Status(
                context=context,
                state=each.state,  # type: ignore[arg-type]  # GitHub's four states
                description=each.description or "",
                target_url=each.target_url,
                created=each.created_at,
            )


def begin_deployment(
    github: GitHub, sha: str, *, environment: str, description: str, payload: Mapping[str, Any] | None = None
) -> Deployment:
    """The deployment of commit `sha` to `environment`: the latest one, if it is of that commit, else a new one.

    So a re-run goes on with the deployment of the run before. GitHub is told to merge nothing and to wait for no
    status: what may be deployed has been decided.
    """

    def errand(repository: Repository) -> Deployment:
        latest = next(iter(repository.get_deployments(environment=environment, task=_TASK)), None)  # newest first
        if latest is not None and latest.sha == sha:
            return _deployment(latest, github)
        made = repository.create_deployment(
            sha,
            task=_TASK,
            auto_merge=False,
            required_contexts=[],
            payload=dict(payload or {}),
            environment=environment,
            description=shortened(description),
            transient_environment=False,
            production_environment=environment == "production",
        )
        return _deployment(made, github, new=True)

    return github.run(f"recording the deployment of {sha[:12]} to {environment}", errand)


def set_deployment(
    github: GitHub,
    deployment: Deployment,
    *,
    state: DeploymentState,
    description: str,
    log_url: str | None = None,
    environment_url: str | None = None,
) -> None:
    """Says how the deployment goes; a success makes the environment's former deployments inactive."""
    content: dict[str, Any] = {"state": state, "description": shortened(description), "auto_inactive": True}
    content |= {"log_url": log_url} if log_url else {}
    content |= {"environment_url": environment_url} if environment_url else {}

    def errand(repository: Repository) -> None:
        url = f"{repository.url}/deployments/{deployment.id}/statuses"
        repository.requester.requestJsonAndCheck("POST", url, input=content)

    github.run(f"saying how deployment {deployment.id} goes", errand)


def shortened(text: str) -> str:
    """`text` in one line of at most 140 characters."""
    line = " ".join(text.split())
    return line if len(line) <= DESCRIPTION_LIMIT else line[: DESCRIPTION_LIMIT - 1].rstrip() + "…"


def _deployment(found: Api, github: GitHub, *, new: bool = False) -> Deployment:
    latest = None if new else next(iter(found.get_statuses()), None)
    return Deployment(
        id=found.id,
        url=f"{github.url}/deployments/{found.environment}",
        sha=found.sha,
        environment=found.environment,
        state=latest.state if latest is not None else None,  # type: ignore[arg-type]  # GitHub's states
    )
