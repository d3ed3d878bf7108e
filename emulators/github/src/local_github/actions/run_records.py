"""What happened in a run, its jobs and their steps; logs lie in files. Records only: nothing here runs anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_github.actions.workflow_file import Workflow
from local_github.domain.state import now

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b.")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", re.MULTILINE)
UNSAFE = re.compile(r"[\x00-\x1f/\\:*?\"<>|]")


def read_log(path: Path, *, stamps: bool = False) -> str:
    """A log without escape sequences, and without the time in front of each line unless `stamps`."""
    if not path.is_file():
        return ""
    text = _ESCAPES.sub("", path.read_text(encoding="utf-8", errors="replace"))
    return text if stamps else _STAMP.sub("", text)


@dataclass(kw_only=True)
class Step:
    """A step. `key` is its id, or its index where it has none."""

    number: int
    key: str
    name: str
    path: Path
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    tolerated: bool = False
    """It failed, and continue-on-error lets the job go on."""

    @property
    def log(self) -> str:
        """What it wrote."""
        return read_log(self.path)

    def finish(self, conclusion: str) -> None:
        """Notes how it ended, once."""
        if self.status != "completed":
            self.status, self.conclusion, self.completed = "completed", conclusion, now()


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """An ::error::, ::warning:: or ::notice:: of a step; `level` is GitHub's failure, warning or notice."""

    level: str
    message: str
    title: str = ""
    path: str = ""
    line: int = 1


@dataclass(kw_only=True)
class Job:
    """A job, or one of the jobs that its matrix made."""

    id: int
    key: str
    name: str
    path: Path
    labels: tuple[str, ...] = ()
    matrix: Mapping[str, Any] = field(default_factory=dict)
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    steps: list[Step] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """What its steps set: step's id → name → value."""
    summary: str = ""

    @property
    def log(self) -> str:
        """What all its steps wrote, in order."""
        return read_log(self.path)

    def finish(self, conclusion: str) -> None:
        """Notes how it ended, once; steps that did not run were skipped, one cut short was cancelled."""
        if self.status == "completed":
            return
        for step in self.steps:
            step.finish("cancelled" if step.status == "in_progress" else "skipped")
        self.status, self.conclusion, self.completed = "completed", conclusion, now()


@dataclass(kw_only=True)
class Run:
    """A run of a workflow; `jobs` and what belongs to them are those of its last attempt."""

    id: int
    number: int
    repository: str
    file: str
    workflow: str
    title: str
    event: str
    ref: str
    commit: str
    """GITHUB_SHA: what was checked out; for a pull request the merge commit."""
    sha: str
    """The head that the run is about: of a pull request, its branch's."""
    branch: str
    actor: str
    payload: Mapping[str, Any]
    folder: Path
    fork: bool = False
    triggered_by: str = ""
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    message: str = ""
    """Why it could not start, or was ended."""
    jobs: list[Job] = field(default_factory=list)
    former: dict[int, list[Job]] = field(default_factory=dict)
    """The jobs of earlier attempts."""
    created: str = field(default_factory=now)
    started: str = field(default_factory=now)
    updated: str = field(default_factory=now)

    @property
    def summary(self) -> str:
        """The step summaries of all jobs, in Markdown."""
        return "\n".join(job.summary for job in self.jobs if job.summary)

    @property
    def log(self) -> str:
        """Everything that was written, job after job."""
        parts = [f"--- {job.name}: {job.conclusion or job.status}\n{job.log}" for job in self.jobs]
        return "\n".join([*([self.message] if self.message else []), *parts])

    @property
    def results(self) -> dict[str, str]:
        """How each job ended, by name."""
        return {job.name: job.conclusion or job.status for job in self.jobs}

    @property
    def artifacts(self) -> Path:
        """The folder with a folder for each artifact."""
        return self.folder / "artifacts"

    @property
    def attempt_folder(self) -> Path:
        """Where this attempt keeps its logs."""
        return self.folder / str(self.attempt)

    def job(self, name: str) -> Job:
        """The job of that name, or of that id in the workflow; KeyError where there is none."""
        for job in self.jobs:
            if name in (job.name, job.key):
                return job
        raise KeyError(f"{self.workflow} #{self.number} has no job {name}; it has {', '.join(self.results) or 'none'}")

    def touch(self) -> None:
        """Notes that it changed now."""
        self.updated = now()

    def journal(self) -> dict[str, Any]:
        """The run as JSON-able data, for export; logs stay in their files."""
        return {
            "id": self.id,
            "number": self.number,
            "attempt": self.attempt,
            "workflow": self.workflow,
            "file": self.file,
            "title": self.title,
            "event": self.event,
            "ref": self.ref,
            "sha": self.sha,
            "actor": self.actor,
            "status": self.status,
            "conclusion": self.conclusion,
            "message": self.message,
            "created": self.created,
            "updated": self.updated,
            "jobs": [
                {
                    "name": job.name,
                    "conclusion": job.conclusion,
                    "log": job.path.name,
                    "steps": [{"name": step.name, "conclusion": step.conclusion} for step in job.steps],
                    "annotations": [f"{a.level}: {a.message}" for a in job.annotations],
                }
                for job in self.jobs
            ],
        }


def step_name(raw: Mapping[str, Any]) -> str:
    """What GitHub calls a step that has no name of its own."""
    if raw.get("name"):
        return str(raw["name"])
    return f"Run {raw['uses'] if 'uses' in raw else str(raw.get('run', '')).strip().partition(chr(10))[0]}"


def conclude(jobs: Iterable[Job], workflow: Workflow, *, cancelled: bool) -> str:
    """How a run ends whose jobs ended so."""
    forgiven = {job.id for job in workflow.jobs if job.raw.get("continue-on-error") is True}
    ended = {job.conclusion for job in jobs if job.key not in forgiven or job.conclusion != "failure"}
    if cancelled:
        return "cancelled"
    for worst in ("failure", "cancelled", "success"):
        if worst in ended:
            return worst
    return "skipped"
