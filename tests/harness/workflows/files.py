"""The workflow files, parsed as by GitHub; not a test itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local_github.actions.workflow_file import Job, Workflow, parse

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = ROOT / ".github/actions/setup/action.yml"
WORKFLOWS: dict[str, Workflow] = {
    file.name: parse(file.read_text(encoding="utf-8"), str(file.relative_to(ROOT))) for file in FILES
}


def jobs() -> Iterator[tuple[str, Job]]:
    """Every job of every file, with its file's name."""
    for name, workflow in WORKFLOWS.items():
        for job in workflow.jobs:
            yield name, job


def steps() -> Iterator[tuple[str, Job, dict[str, Any]]]:
    """Every step of every job."""
    for name, job in jobs():
        for step in job.steps():
            yield name, job, dict(step)


def job(file: str, identifier: str) -> Job:
    """One job."""
    return next(each for each in WORKFLOWS[file].jobs if each.id == identifier)
