"""Serializes deployments and their statuses."""

from __future__ import annotations

from local_github.domain.records import Deployment, DeploymentStatus, Repository
from local_github.serializers.base import Json, Serializer, node_id


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
