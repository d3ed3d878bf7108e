"""Statuses, check runs and deployments as GitHub's REST API shows them."""

from __future__ import annotations

from local_github.api.shape_basics import BasicShapes, Json, node
from local_github.domain import state as records


class CheckShapes(BasicShapes):
    """Renders what is said of commits."""

    def status(self, repository: records.Repository, status: records.Status) -> Json:
        """A commit status."""
        return {
            "id": status.id,
            "node_id": node("SC", status.id),
            "url": self.at(repository, f"/statuses/{status.sha}"),
            "avatar_url": "",
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
            "creator": self.user(status.creator),
            "created_at": status.created,
            "updated_at": status.created,
        }

    def check(self, repository: records.Repository, check: records.CheckRun) -> Json:
        """A check run."""
        page = self.page(repository, f"/runs/{check.id}")
        return {
            "id": check.id,
            "node_id": node("CR", check.id),
            "head_sha": check.sha,
            "external_id": "",
            "name": check.name,
            "url": self.at(repository, f"/check-runs/{check.id}"),
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

    def deployment(self, repository: records.Repository, deployment: records.Deployment) -> Json:
        """A deployment."""
        at = self.at(repository, f"/deployments/{deployment.id}")
        return {
            "id": deployment.id,
            "node_id": node("DE", deployment.id),
            "url": at,
            "sha": deployment.sha,
            "ref": deployment.ref,
            "task": deployment.task,
            "payload": deployment.payload,
            "original_environment": deployment.environment,
            "environment": deployment.environment,
            "description": deployment.description,
            "creator": self.user(deployment.creator),
            "created_at": deployment.created,
            "updated_at": deployment.updated,
            "statuses_url": f"{at}/statuses",
            "repository_url": self.at(repository),
            "transient_environment": False,
            "production_environment": deployment.environment == "production",
        }

    def deployment_status(
        self, repository: records.Repository, deployment: records.Deployment, status: records.DeploymentStatus
    ) -> Json:
        """A status of a deployment."""
        at = self.at(repository, f"/deployments/{deployment.id}")
        return {
            "id": status.id,
            "node_id": node("DES", status.id),
            "url": f"{at}/statuses/{status.id}",
            "state": status.state,
            "creator": self.user(status.creator),
            "description": status.description,
            "environment": status.environment,
            "environment_url": status.environment_url,
            "target_url": status.log_url,
            "log_url": status.log_url,
            "created_at": status.created,
            "updated_at": status.created,
            "deployment_url": at,
            "repository_url": self.at(repository),
        }
