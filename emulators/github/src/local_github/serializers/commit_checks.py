"""Serializes statuses, check runs and deployments."""

from __future__ import annotations

from local_github.domain.records import CheckRun, Deployment, DeploymentStatus, Repository, Status
from local_github.serializers.base import Json, Serializer, node_id


def status(serializer: Serializer, repository: Repository, status: Status) -> Json:
    """A commit status."""
    return {
        "id": status.id,
        "node_id": node_id("SC", status.id),
        "url": serializer.api_url(repository, f"/statuses/{status.sha}"),
        "avatar_url": "",
        "state": status.state,
        "context": status.context,
        "description": status.description,
        "target_url": status.target_url,
        "creator": serializer.user(status.creator),
        "created_at": status.created,
        "updated_at": status.created,
    }


def check_run(serializer: Serializer, repository: Repository, check: CheckRun) -> Json:
    """A check run."""
    page = serializer.page_url(repository, f"/runs/{check.id}")
    return {
        "id": check.id,
        "node_id": node_id("CR", check.id),
        "head_sha": check.sha,
        "external_id": "",
        "name": check.name,
        "url": serializer.api_url(repository, f"/check-runs/{check.id}"),
        "html_url": page,
        "details_url": check.details_url or page,
        "status": check.status,
        "conclusion": check.conclusion,
        "started_at": check.started,
        "completed_at": check.completed,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0} | check.output,
        "app": {"id": 15368, "slug": check.app.removesuffix("[bot]"), "name": check.app.removesuffix("[bot]")},
        "check_suite": {"id": check.id},
        "pull_requests": [],
    }


def deployment(serializer: Serializer, repository: Repository, deployment: Deployment) -> Json:
    """A deployment."""
    url = serializer.api_url(repository, f"/deployments/{deployment.id}")
    return {
        "id": deployment.id,
        "node_id": node_id("DE", deployment.id),
        "url": url,
        "sha": deployment.sha,
        "ref": deployment.ref,
        "task": deployment.task,
        "payload": deployment.payload,
        "original_environment": deployment.environment,
        "environment": deployment.environment,
        "description": deployment.description,
        "creator": serializer.user(deployment.creator),
        "created_at": deployment.created,
        "updated_at": deployment.updated,
        "statuses_url": f"{url}/statuses",
        "repository_url": serializer.api_url(repository),
        "transient_environment": False,
        "production_environment": deployment.environment == "production",
    }


def deployment_status(
    serializer: Serializer, repository: Repository, deployment: Deployment, status: DeploymentStatus
) -> Json:
    """A status of a deployment."""
    url = serializer.api_url(repository, f"/deployments/{deployment.id}")
    return {
        "id": status.id,
        "node_id": node_id("DES", status.id),
        "url": f"{url}/statuses/{status.id}",
        "state": status.state,
        "creator": serializer.user(status.creator),
        "description": status.description,
        "environment": status.environment,
        "environment_url": status.environment_url,
        "target_url": status.log_url,
        "log_url": status.log_url,
        "created_at": status.created,
        "updated_at": status.created,
        "deployment_url": url,
        "repository_url": serializer.api_url(repository),
    }
