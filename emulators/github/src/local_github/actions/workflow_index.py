"""Finds the workflow files of a commit. Starts nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from local_github.actions.workflow_file import Workflow, WorkflowInvalid, parse
from local_github.domain.records import Repository
from local_github.git.bare_repository import BareRepository

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
            read = _read(git.path, entry.sha, entry.path)
            found[entry.path] = WorkflowInvalid(read) if isinstance(read, str) else read
    return found


@lru_cache(maxsize=1024)
def _read(repository: Path, blob: str, path: str) -> Workflow | str:
    """The workflow in a blob, or what is wrong with it. Most commits change no workflow, so it is parsed once."""
    text = BareRepository(repository).run("cat-file", "blob", blob).decode("utf-8", "replace")
    try:
        return parse(text, path)
    except WorkflowInvalid as error:
        return str(error)


def schedules(repository: Repository) -> list[str]:
    """The sorted cron expressions of the default branch's workflows."""
    workflows = [found for found in find_workflows(repository).values() if isinstance(found, Workflow)]
    return sorted({entry["cron"] for workflow in workflows for entry in workflow.on.get("schedule") or ()})
