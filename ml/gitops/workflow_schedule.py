"""Reads whether a workflow on the default branch is enabled, and when its schedule last started it. Starts none."""

from __future__ import annotations

from dataclasses import dataclass

from ml.gitops import rest_reader
from ml.gitops.github_client import GitHub


@dataclass(frozen=True, kw_only=True)
class ScheduledWorkflow:
    """A workflow file on the default branch, and the times of its creation and of its last scheduled run.

    `state` is active, disabled_manually, disabled_inactivity or another of GitHub's.
    """

    state: str
    created: str
    last_scheduled: str | None


def read(github: GitHub, file: str) -> ScheduledWorkflow | None:
    """The workflow `file`; None if the default branch has none."""
    found = rest_reader.document(github, f"the workflow {file}", f"/actions/workflows/{file}")
    if found is None:
        return None
    runs = f"/actions/workflows/{file}/runs?event=schedule&per_page=1"
    scheduled = (rest_reader.document(github, f"the runs of {file}", runs) or {}).get("workflow_runs") or []
    return ScheduledWorkflow(
        state=found["state"],
        created=found["created_at"],
        last_scheduled=scheduled[0]["created_at"] if scheduled else None,
    )
