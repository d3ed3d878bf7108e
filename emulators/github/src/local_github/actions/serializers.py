"""Serializes workflows, runs, jobs and artifacts."""

from __future__ import annotations

import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

from local_github.actions.override_program import artifact_id
from local_github.actions.run_records import Job, Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.domain.records import Repository
from local_github.serializers.base import Serializer

Json = dict[str, Any]


def workflow_id(repository: Repository, path: str) -> int:
    """The id of a workflow file, derived from its path."""
    return zlib.crc32(f"{repository.id}/{path}".encode())


def workflow(
    serializer: Serializer, repository: Repository, path: str, found: Workflow | WorkflowInvalid, *, enabled: bool
) -> Json:
    """A workflow file."""
    number = workflow_id(repository, path)
    return {
        "id": number,
        "node_id": f"W_{number}",
        "name": found.name if isinstance(found, Workflow) else path,
        "path": path,
        "state": "active" if enabled else "disabled_manually",
        "created_at": repository.created,
        "updated_at": repository.created,
        "url": serializer.api_url(repository, f"/actions/workflows/{number}"),
        "html_url": serializer.page_url(repository, f"/blob/{repository.default_branch}/{path}"),
        "badge_url": serializer.page_url(repository, f"/actions/workflows/{Path(path).name}/badge.svg"),
    }


def run(serializer: Serializer, repository: Repository, record: Run) -> Json:
    """A run with its latest attempt."""
    url = serializer.api_url(repository, f"/actions/runs/{record.id}")
    number = workflow_id(repository, record.file)
    commit = repository.git.commit(record.sha)
    head = serializer.git_commit(repository, commit) if commit else {}
    pull = record.payload.get("pull_request")
    return {
        "id": record.id,
        "node_id": f"WFR_{record.id}",
        "name": record.workflow,
        "display_title": record.title,
        "path": record.file,
        "run_number": record.number,
        "run_attempt": record.attempt,
        "event": record.event,
        "status": record.status,
        "conclusion": record.conclusion,
        "workflow_id": number,
        "head_branch": record.branch,
        "head_sha": record.sha,
        "check_suite_id": record.id,
        "check_suite_node_id": f"CS_{record.id}",
        "url": url,
        "html_url": serializer.page_url(repository, f"/actions/runs/{record.id}"),
        "pull_requests": [{"number": pull["number"], "head": pull["head"], "base": pull["base"]}] if pull else [],
        "created_at": record.created,
        "updated_at": record.updated,
        "run_started_at": record.started,
        "actor": serializer.user(record.actor),
        "triggering_actor": serializer.user(record.triggered_by or record.actor),
        "jobs_url": f"{url}/jobs",
        "logs_url": f"{url}/logs",
        "artifacts_url": f"{url}/artifacts",
        "cancel_url": f"{url}/cancel",
        "rerun_url": f"{url}/rerun",
        "check_suite_url": serializer.api_url(repository, f"/check-suites/{record.id}"),
        "previous_attempt_url": f"{url}/attempts/{record.attempt - 1}" if record.attempt > 1 else None,
        "workflow_url": serializer.api_url(repository, f"/actions/workflows/{number}"),
        "head_commit": {
            "id": record.sha,
            "tree_id": commit.tree if commit else "",
            "message": head.get("message", ""),
            "timestamp": head.get("committer", {}).get("date"),
            "author": head.get("author"),
            "committer": head.get("committer"),
        },
        "repository": serializer.repository(repository),
        "head_repository": pull["head"]["repo"] if pull else serializer.repository(repository),
        "referenced_workflows": [],
    }


def job(serializer: Serializer, repository: Repository, record: Run, entry: Job, attempt: int) -> Json:
    """A job of an attempt."""
    return {
        "id": entry.id,
        "node_id": f"CR_{entry.id}",
        "run_id": record.id,
        "run_url": serializer.api_url(repository, f"/actions/runs/{record.id}"),
        "run_attempt": attempt,
        "workflow_name": record.workflow,
        "head_branch": record.branch,
        "head_sha": record.sha,
        "url": serializer.api_url(repository, f"/actions/jobs/{entry.id}"),
        "html_url": serializer.page_url(repository, f"/actions/runs/{record.id}/job/{entry.id}"),
        "check_run_url": serializer.api_url(repository, f"/check-runs/{entry.id}"),
        "name": entry.name,
        "status": entry.status,
        "conclusion": entry.conclusion,
        "created_at": record.started,
        "started_at": entry.started or record.started,
        "completed_at": entry.completed,
        "labels": list(entry.labels),
        "runner_id": 1,
        "runner_name": "local",
        "runner_group_id": 1,
        "runner_group_name": "local",
        "steps": [
            {
                "number": step.number,
                "name": step.name,
                "status": step.status,
                "conclusion": step.conclusion,
                "started_at": step.started,
                "completed_at": step.completed,
            }
            for step in entry.steps
        ],
    }


def artifact(serializer: Serializer, repository: Repository, record: Run, folder: Path) -> Json:
    """An artifact of a run."""
    number = artifact_id(str(record.id), folder.name)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    url = serializer.api_url(repository, f"/actions/artifacts/{number}")
    return {
        "id": number,
        "node_id": f"A_{number}",
        "name": folder.name,
        "size_in_bytes": size,
        "url": url,
        "archive_download_url": f"{url}/zip",
        "expired": False,
        "created_at": record.updated,
        "expires_at": datetime.max.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "updated_at": record.updated,
        "workflow_run": {
            "id": record.id,
            "repository_id": repository.id,
            "head_repository_id": repository.id,
            "head_branch": record.branch,
            "head_sha": record.sha,
        },
    }
