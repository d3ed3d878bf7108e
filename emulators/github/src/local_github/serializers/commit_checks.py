"""Serializes commit statuses and check runs."""

from __future__ import annotations

from local_github.domain.records import CheckRun, Repository, Status
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
        "app": {
            "id": serializer.state.app_id(check.app),
            "slug": check.app.removesuffix("[bot]"),
            "name": check.app.removesuffix("[bot]"),
        },
        "check_suite": {"id": check.id},
        "pull_requests": [],
    }
