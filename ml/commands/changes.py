"""`fraudops changes`: detects whether code or model-config/ changed, for the jobs that depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml.gitops.repository import Repository
from ml.workflow import changed_files as workflow_change
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The outputs of `changes` for the jobs that need it."""

    base: str | None
    files: int
    code: bool
    model_config: bool


def changes(root: Path) -> Changes:
    """Sets the step outputs `code` and `model_config`: whether the change touches code or model-config/."""
    change = workflow_change.of(Repository.find(root))
    # A manual dispatch on main runs all checks.
    everything = change.event == "workflow_dispatch" and not change.files
    found = Changes(
        base=change.base,
        files=len(change.files),
        code=change.code or everything,
        model_config=any(path.startswith(workflow_change.STATE) for path in change.files),
    )
    runner_commands.output(code=str(found.code).lower(), model_config=str(found.model_config).lower())
    return found
