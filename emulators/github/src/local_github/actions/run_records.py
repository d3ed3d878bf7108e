"""Defines the records of a run, its jobs and their steps; logs are files. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b.")
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z ", re.MULTILINE)


def read_log(path: Path, *, timestamps: bool = False) -> str:
    """A log without escape sequences; `timestamps` keeps the time at the start of each line."""
    if not path.is_file():
        return ""
    text = _ESCAPES.sub("", path.read_text(encoding="utf-8", errors="replace"))
    return text if timestamps else _TIMESTAMP.sub("", text)


@dataclass(kw_only=True)
class Step:
    """A step. `key` is its id, or its index if it has none."""

    number: int
    key: str
    name: str
    path: Path
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    tolerated: bool = False
    """It failed, but continue-on-error is set."""

    @property
    def log(self) -> str:
        """The output of the step."""
        return read_log(self.path)

    def finish(self, conclusion: str, moment: str) -> None:
        """Completes the step, unless it is completed already."""
        if self.status != "completed":
            self.status, self.conclusion, self.completed = "completed", conclusion, moment


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
    """A job, or one job of a matrix."""

    id: int
    key: str
    name: str
    path: Path
    labels: tuple[str, ...] = ()
    matrix: Mapping[str, Any] = field(default_factory=dict)
    status: str = "queued"
    """queued, waiting (for a review of its environment), in_progress or completed."""
    conclusion: str | None = None
    tolerated: bool = False
    """continue-on-error is set: a failure does not fail the run, and dependents see success."""
    started: str | None = None
    completed: str | None = None
    steps: list[Step] = field(default_factory=list)
    annotations: list[Annotation] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    """The outputs of its steps: step id → name → value."""
    summary: str = ""

    @property
    def log(self) -> str:
        """The output of all steps, in order."""
        return read_log(self.path)

    def finish(self, conclusion: str, moment: str) -> None:
        """Completes the job, unless it is completed already; open steps become cancelled if started, else skipped."""
        if self.status == "completed":
            return
        for step in self.steps:
            step.finish("cancelled" if step.status == "in_progress" else "skipped", moment)
        self.status, self.conclusion, self.completed = "completed", conclusion, moment


@dataclass(kw_only=True)
class Run:
    """A run of a workflow; `jobs` are those of the latest attempt."""

    id: int
    number: int
    repository: str
    file: str
    workflow: str
    title: str
    event: str
    ref: str
    commit: str
    """GITHUB_SHA, the commit that is checked out; for a pull request the test merge."""
    sha: str
    """The head commit that the run belongs to; for a pull request the head of its branch."""
    branch: str
    actor: str
    payload: Mapping[str, Any]
    folder: Path
    created: str
    started: str
    updated: str
    fork: bool = False
    triggered_by: str = ""
    attempt: int = 1
    status: str = "queued"
    conclusion: str | None = None
    message: str = ""
    """Why the run could not start or was cancelled."""
    jobs: list[Job] = field(default_factory=list)
    earlier_jobs: dict[int, list[Job]] = field(default_factory=dict)
    """The jobs of earlier attempts, by attempt."""

    @property
    def summary(self) -> str:
        """The step summaries of all jobs, in Markdown."""
        return "\n".join(job.summary for job in self.jobs if job.summary)

    @property
    def log(self) -> str:
        """The message and the output of all jobs."""
        parts = [f"--- {job.name}: {job.conclusion or job.status}\n{job.log}" for job in self.jobs]
        return "\n".join([*([self.message] if self.message else []), *parts])

    @property
    def results(self) -> dict[str, str]:
        """Job name → conclusion, or status while it runs."""
        return {job.name: job.conclusion or job.status for job in self.jobs}

    @property
    def artifacts(self) -> Path:
        """Contains one folder per artifact."""
        return self.folder / "artifacts"

    @property
    def attempt_folder(self) -> Path:
        """The folder of the latest attempt."""
        return self.folder / str(self.attempt)

    def job(self, name: str) -> Job:
        """The job with that name, or that id in the workflow; KeyError if there is none."""
        for job in self.jobs:
            if name in (job.name, job.key):
                return job
        raise KeyError(f"{self.workflow} #{self.number} has no job {name}; it has {', '.join(self.results) or 'none'}")

    def journal(self) -> dict[str, Any]:
        """The run as JSON-able data; logs stay in their files."""
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
    """The name of a step, or GitHub's default for it."""
    if raw.get("name"):
        return str(raw["name"])
    return f"Run {raw['uses'] if 'uses' in raw else str(raw.get('run', '')).strip().partition(chr(10))[0]}"


def conclude(jobs: Iterable[Job], *, cancelled: bool) -> str:
    """The conclusion of a run, or of the jobs of a called workflow, from the conclusions of the jobs."""
    ended = {"success" if job.tolerated and job.conclusion == "failure" else job.conclusion for job in jobs}
    if cancelled:
        return "cancelled"
    for worst in ("failure", "cancelled", "success"):
        if worst in ended:
            return worst
    return "skipped"
