"""Finds the workflow files of a commit. Starts nothing."""

from __future__ import annotations

from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse
from local_github.domain.records import Repository

FOLDER = ".github/workflows"


def find_workflows(repository: Repository, revision: str | None = None) -> dict[str, Workflow | WorkflowInvalid]:
    """The workflow files of a commit, or of the default branch: path → workflow or error."""
    git = repository.git
    commit = revision or git.branch(repository.default_branch)
    if not commit:
        return {}
    found: dict[str, Workflow | WorkflowInvalid] = {}
    for entry in git.folder(commit, FOLDER):
        if entry.kind == "blob" and entry.path.endswith((".yml", ".yaml")):
            text = (git.show(commit, entry.path) or b"").decode("utf-8", "replace")
            try:
                found[entry.path] = parse(text, entry.path)
            except WorkflowInvalid as error:
                found[entry.path] = error
    return found


def schedules(repository: Repository) -> list[str]:
    """The sorted cron expressions of the default branch's workflows."""
    workflows = [found for found in find_workflows(repository).values() if isinstance(found, Workflow)]
    return sorted({entry["cron"] for workflow in workflows for entry in workflow.on.get("schedule") or ()})
