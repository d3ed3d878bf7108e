"""Turns what act says, line by line of JSON, into the records and log files of a run."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from local_github.actions.run_records import UNSAFE, Annotation, Job, Run, Step, read_log, step_name
from local_github.actions.workflow_file import Workflow
from local_github.domain.state import now

_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}
_SET_UP, _COMPLETE = "--setup-job", "--complete-job"
_QUIET = ("LocalRepositoryCache", "Cleaning up container", "🧪")
_COMMANDS = ("debug", "add-mask", "set-output", "summary", "save-state", "stop-commands")


class Recorder:
    """Keeps `run` up to date. `feed` is called from one thread; `lock` guards the records for readers."""

    def __init__(self, run: Run, workflow: Workflow, *, lock: threading.RLock, new_id: Callable[[], int]) -> None:
        self._run, self._workflow, self._lock, self._new_id = run, workflow, lock, new_id
        self._by_text: dict[str, Job] = {}
        self._logs = run.attempt_folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self.started: dict[int, float] = {}
        """When each job in progress began, on the monotonic clock."""
        self.cancelling = False
        self.timed_out: set[str] = set()
        """Ids of jobs whose time was up."""
        self.complaints: list[str] = []
        """What act said about itself and the file."""
        with lock:
            run.jobs = [self._new_job(job.id, job.name) for job in workflow.jobs]

    def feed(self, line: bytes) -> None:
        """Takes one line of act's."""
        text = line.decode("utf-8", "replace").rstrip()
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "jobID" not in event:
            said = event.get("msg", "") if isinstance(event, dict) else text
            if said and "valid docker connection" not in said:
                self.complaints.append(said.strip())
            return
        with self._lock:
            self._take(event)

    def finish(self) -> None:
        """Closes what is open when act has ended: jobs that never began were skipped, or cancelled with the run."""
        with self._lock:
            for job in self._run.jobs:
                job.finish("cancelled" if self.cancelling or job.status == "in_progress" else "skipped")
            self._run.touch()

    def annotate(self, job: Job, level: str, message: str) -> None:
        """Adds an annotation of the runner's own."""
        with self._lock:
            job.annotations.append(Annotation(level=level, message=message))
            self._write(job, job.steps[-1], f"##[error]{message}")

    # --- jobs and steps

    def _new_job(self, key: str, name: str) -> Job:
        number = len(self._run.jobs)
        definition = next(job for job in self._workflow.jobs if job.id == key)
        job = Job(id=self._new_id(), key=key, name=name, path=self._logs / "x", labels=definition.labels)
        self._run.jobs.append(job)
        raws = [
            ("", "Set up job"),
            *((str(raw.get("id", index)), step_name(raw)) for index, raw in enumerate(definition.steps())),
        ]
        folder = self._logs / f"{number}_{job.id}"
        folder.mkdir(exist_ok=True)
        for position, (step, title) in enumerate([*raws, ("", "Complete job")], start=1):
            job.steps.append(Step(number=position, key=step, name=title, path=folder / f"{position}.txt"))
        job.path = folder / "job.txt"
        return job

    def _job(self, event: dict[str, Any]) -> Job:
        text = event["job"].strip()
        if text not in self._by_text:
            key, matrix = event["jobID"], event.get("matrix") or {}
            job = next((job for job in self._run.jobs if job.key == key and job not in self._by_text.values()), None)
            if job is None:
                job = self._new_job(key, key)
            definition = next(defined for defined in self._workflow.jobs if defined.id == key)
            name = text.removeprefix(f"{self._workflow.name}/")
            if matrix:
                name = name.rpartition("-")[0] or name  # act numbers the jobs of a matrix
                if "${{" not in definition.name:
                    name = f"{definition.name} ({', '.join(map(str, matrix.values()))})"
            job.name, job.matrix = name, matrix
            self._by_text[text] = job
        return self._by_text[text]

    def _take(self, event: dict[str, Any]) -> None:
        job = self._job(event)
        if job.status == "queued":
            job.status, job.started = "in_progress", now()
            self.started[job.id] = time.monotonic()
        if "jobResult" in event:
            self.started.pop(job.id, None)
            result = event["jobResult"]
            if job.matrix and all(step.conclusion != "failure" for step in job.steps):
                result = "success"  # act gives all jobs of a matrix the result of the worst that has ended
            cut = job.key in self.timed_out or (self.cancelling and result != "success")
            unreached = self.cancelling and all(step.status == "queued" for step in job.steps[1:-1])
            job.finish("cancelled" if cut or unreached else result)
        else:
            step = self._step(job, event)
            if step is not None:
                self._progress(job, step, event)
        self._run.touch()

    @staticmethod
    def _step(job: Job, event: dict[str, Any]) -> Step | None:
        if event.get("stage") in ("Pre", "Post"):
            return None  # stand-ins have neither
        path = event.get("stepID") or event.get("stepid")
        if not path or path[0] == _COMPLETE:
            return job.steps[-1]
        if path[0] == _SET_UP:
            return job.steps[0]
        return next((step for step in job.steps[1:-1] if step.key == path[0]), None)

    def _progress(self, job: Job, step: Step, event: dict[str, Any]) -> None:
        message: str = event.get("msg", "")
        depth = len(event.get("stepID") or [""])
        if step.status == "queued":
            step.status, step.started = "in_progress", now()
        command = event.get("command")
        if command is not None:
            self._command(job, step, command, event)
        elif event.get("raw_output"):
            self._write(job, step, message.rstrip("\r\n"))
        elif message.startswith("Failed but continue"):
            step.tolerated = step.tolerated or depth == 1
        elif "stepResult" in event:
            if depth == 1:
                step.finish("success" if step.tolerated else event["stepResult"])
        elif message.startswith("⭐ Run "):
            if self._tells(job, step, depth):
                line = message.removeprefix("⭐ Run Main ").partition("\n")[0]
                self._write(job, step, f"##[group]Run {line.removeprefix('Run ')}\n##[endgroup]")
        elif not message.startswith(_QUIET) and message.strip():
            self._write(job, step, f"##[error]{message.strip()}" if event.get("level") == "error" else message.strip())

    def _tells(self, job: Job, step: Step, depth: int) -> bool:
        """Whether a step inside `step` is worth a heading: those of the repository's own actions, not of stand-ins."""
        if step.key == "":
            return False
        definition = next(defined for defined in self._workflow.jobs if defined.id == job.key)
        uses = str(list(definition.steps())[step.number - 2].get("uses", ""))
        return depth == 1 or (depth == 2 and uses.startswith("./"))

    def _command(self, job: Job, step: Step, command: str, event: dict[str, Any]) -> None:
        argument = event.get("arg", "")
        if command in _LEVELS:
            pairs = event.get("kvPairs") or {}
            line = str(pairs.get("line", ""))
            job.annotations.append(
                Annotation(
                    level=_LEVELS[command],
                    message=argument,
                    title=pairs.get("title", ""),
                    path=pairs.get("file", ""),
                    line=int(line) if line.isdigit() else 1,
                )
            )
            self._write(job, step, f"##[{command}]{argument}")
        elif command == "set-output" and len(event.get("stepID") or ()) == 1:
            job.outputs.setdefault(step.key, {})[event["name"]] = argument
        elif command == "summary":
            job.summary += event["content"]
        elif command in ("group", "endgroup"):
            self._write(job, step, f"##[{command}]{argument}")
        elif command not in _COMMANDS and event.get("raw"):
            self._write(job, step, event["raw"].rstrip())

    @staticmethod
    def _write(job: Job, step: Step, text: str) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        lines = "".join(f"{at} {line}\n" for line in text.split("\n"))
        for path in (job.path, step.path):
            with path.open("a", encoding="utf-8") as file:
                file.write(lines)


def archive_name(number: int, job: Job, step: Step | None = None) -> str:
    """Where GitHub's archive of a run's logs has a job's, or a step's."""
    safe = UNSAFE.sub("", job.name)
    return f"{safe}/{step.number}_{UNSAFE.sub('', step.name)}.txt" if step else f"{number}_{safe}.txt"


def archive(jobs: Sequence[Job]) -> bytes:
    """The logs of `jobs` as GitHub's zip has them."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for number, job in enumerate(jobs):
            file.writestr(archive_name(number, job), read_log(job.path, stamps=True))
            for step in job.steps:
                if step.path.is_file():
                    file.writestr(archive_name(number, job, step), read_log(step.path, stamps=True))
    return data.getvalue()
