"""Lists the runs of a workflow on a branch. Starts and changes none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub

_MAX_RUNS = 100


@dataclass(frozen=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow.

    `status` is completed, or one of GitHub's words for a run that has not ended: queued, in_progress, waiting (for an
    environment's reviewer), pending or requested. `conclusion` is '' until it has.
    """

    id: int
    url: str
    title: str
    status: str
    conclusion: str
    created: datetime
    updated: datetime
    """When anything of it changed last; for a run that has ended, its end or a later re-run."""

    @property
    def ended(self) -> bool:
        """Whether it has a conclusion."""
        return self.status == "completed"


def recent(github: GitHub, workflow: str, *, branch: str) -> list[WorkflowRun]:
    """The runs of `workflow` (a file name) on `branch`, latest first; at most one hundred.

    Raises:
        GitHubError: GitHub refuses or cannot be reached.
    """
    path = f"/actions/workflows/{workflow}/runs?branch={branch}&per_page={_MAX_RUNS}"
    found = rest_reader.document(github, f"the runs of {workflow}", path) or {}
    return [
        WorkflowRun(
            id=int(run["id"]),
            url=str(run["html_url"]),
            title=str(run["display_title"]),
            status=str(run["status"]),
            conclusion=str(run["conclusion"] or ""),
            created=datetime.fromisoformat(run["created_at"]),
            updated=datetime.fromisoformat(run["updated_at"]),
        )
        for run in found.get("workflow_runs", [])
    ]
