"""The check runs of a commit: those that Apps created and the jobs of its workflow runs."""

from __future__ import annotations

from collections.abc import Callable

from local_github.domain.events import RunSource
from local_github.domain.records import CheckRun, Repository


def check_runs_of(
    repository: Repository, runs: RunSource, sha: str, details_url: Callable[[int], str]
) -> list[CheckRun]:
    """All check runs of a commit; `details_url` returns the address of a workflow run by its id."""
    known = {check.id for check in repository.checks}
    jobs = [
        CheckRun(
            id=job.id,
            sha=sha,
            name=job.name,
            status=job.status,
            conclusion=job.conclusion,
            details_url=details_url(run.id),
            output={},
            started=run.created,
            completed=run.updated if job.conclusion else None,
            app="github-actions[bot]",
        )
        for run in runs.runs_of(repository.full_name)
        if run.sha == sha
        for job in run.jobs
        if job.id not in known
    ]
    return [check for check in repository.checks if check.sha == sha] + jobs
