"""Publishes the jobs of a run as check runs of its commit. Runs nothing."""

from __future__ import annotations

from local_github.actions.run_records import Run
from local_github.domain.backend import Backend
from local_github.domain.records import CheckRun
from local_github.domain.tokens import WORKFLOW_LOGIN


def publish(backend: Backend, run: Run) -> None:
    """Adds or updates the check runs of the latest attempt; those of earlier attempts stay."""
    with backend.lock():
        record = backend.state.named(run.repository)
        page = f"{backend.url}/{run.repository}/actions/runs/{run.id}/job/"
        ids = {job.id for job in run.jobs}
        record.checks[:] = [
            check
            for check in record.checks
            # A call of a reusable workflow was a queued job until its jobs took its place.
            if check.id not in ids and (check.conclusion or not str(check.details_url).startswith(page))
        ]
        for job in run.jobs:
            record.checks.append(
                CheckRun(
                    id=job.id,
                    sha=run.sha,
                    name=job.name,
                    status=job.status,
                    conclusion=job.conclusion,
                    details_url=f"{page}{job.id}",
                    output={"annotations_count": len(job.annotations)},
                    started=job.started,
                    completed=job.completed,
                    app=WORKFLOW_LOGIN,
                )
            )
