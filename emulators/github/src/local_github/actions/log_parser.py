"""Parses act's output, one JSON object per line, into the records and log files of a run."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local_github.actions.run_records import Annotation, Job, Run, Step, step_name
from local_github.actions.workflow_file import Workflow

_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}
_SET_UP, _COMPLETE = "--setup-job", "--complete-job"
_HIDDEN_MESSAGES = ("LocalRepositoryCache", "Cleaning up container", "🧪")
_SILENT_COMMANDS = ("debug", "add-mask", "set-output", "summary", "save-state", "stop-commands")


class LogParser:
    """Updates `run` from act's output. `feed` is called from one thread; `lock` guards the records for readers."""

    def __init__(
        self,
        run: Run,
        workflow: Workflow,
        *,
        lock: threading.RLock,
        new_id: Callable[[], int],
        now: Callable[[], str],
    ) -> None:
        self._run, self._workflow, self._lock, self._new_id, self._now = run, workflow, lock, new_id, now
        self._by_label: dict[str, Job] = {}
        self._logs = run.attempt_folder / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self.started: dict[int, float] = {}
        """Start of each job in progress, on the monotonic clock: job id → seconds."""
        self.cancelling = False
        self.timed_out: set[str] = set()
        """Workflow ids of jobs that exceeded their timeout."""
        self.act_messages: list[str] = []
        """Messages of act that belong to no job."""
        with lock:
            run.jobs = [self._new_job(job.id, job.name) for job in workflow.jobs]

    def feed(self, line: bytes) -> None:
        """Parses one line of act's output."""
        text = line.decode("utf-8", "replace").rstrip()
        try:
            event = json.loads(text)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "jobID" not in event:
            message = event.get("msg", "") if isinstance(event, dict) else text
            if message and "valid docker connection" not in message:
                self.act_messages.append(message.strip())
            return
        with self._lock:
            self._handle(event)

    def finish(self) -> None:
        """Completes open jobs after act has ended: never started ones as skipped, or cancelled with the run."""
        with self._lock:
            for job in self._run.jobs:
                conclusion = "cancelled" if self.cancelling or job.status == "in_progress" else "skipped"
                job.finish(conclusion, self._now())
            self._run.updated = self._now()

    def annotate(self, job: Job, level: str, message: str) -> None:
        """Adds an annotation of the runner to a job."""
        with self._lock:
            job.annotations.append(Annotation(level=level, message=message))
            self._write(job, job.steps[-1], f"##[error]{message}")

    # --- jobs and steps

    def _new_job(self, key: str, name: str) -> Job:
        number = len(self._run.jobs)
        definition = next(job for job in self._workflow.jobs if job.id == key)
        job = Job(id=self._new_id(), key=key, name=name, path=self._logs / "x", labels=definition.labels)
        self._run.jobs.append(job)
        steps = [
            ("", "Set up job"),
            *((str(raw.get("id", index)), step_name(raw)) for index, raw in enumerate(definition.steps())),
        ]
        folder = self._logs / f"{number}_{job.id}"
        folder.mkdir(exist_ok=True)
        for position, (step, title) in enumerate([*steps, ("", "Complete job")], start=1):
            job.steps.append(Step(number=position, key=step, name=title, path=folder / f"{position}.txt"))
        job.path = folder / "job.txt"
        return job

    def _job(self, event: dict[str, Any]) -> Job:
        label = event["job"].strip()
        if label not in self._by_label:
            key, matrix = event["jobID"], event.get("matrix") or {}
            job = next((job for job in self._run.jobs if job.key == key and job not in self._by_label.values()), None)
            if job is None:
                job = self._new_job(key, key)
            definition = next(defined for defined in self._workflow.jobs if defined.id == key)
            name = label.removeprefix(f"{self._workflow.name}/")
            if matrix:
                name = name.rpartition("-")[0] or name  # act numbers the jobs of a matrix
                if "${{" not in definition.name:
                    name = f"{definition.name} ({', '.join(map(str, matrix.values()))})"
            job.name, job.matrix = name, matrix
            self._by_label[label] = job
        return self._by_label[label]

    def _handle(self, event: dict[str, Any]) -> None:
        job = self._job(event)
        if job.status == "queued":
            job.status, job.started = "in_progress", self._now()
            self.started[job.id] = time.monotonic()
        if "jobResult" in event:
            self.started.pop(job.id, None)
            result = event["jobResult"]
            if job.matrix and all(step.conclusion != "failure" for step in job.steps):
                result = "success"  # act reports the worst result so far for all jobs of a matrix
            cancelled = job.key in self.timed_out or (self.cancelling and result != "success")
            not_started = self.cancelling and all(step.status == "queued" for step in job.steps[1:-1])
            job.finish("cancelled" if cancelled or not_started else result, self._now())
        else:
            step = self._step(job, event)
            if step is not None:
                self._progress(job, step, event)
        self._run.updated = self._now()

    @staticmethod
    def _step(job: Job, event: dict[str, Any]) -> Step | None:
        if event.get("stage") in ("Pre", "Post"):
            return None  # action overrides have neither
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
            step.status, step.started = "in_progress", self._now()
        command = event.get("command")
        if command is not None:
            self._command(job, step, command, event)
        elif event.get("raw_output"):
            self._write(job, step, message.rstrip("\r\n"))
        elif message.startswith("Failed but continue"):
            step.tolerated = step.tolerated or depth == 1
        elif "stepResult" in event:
            if depth == 1:
                step.finish("success" if step.tolerated else event["stepResult"], self._now())
        elif message.startswith("⭐ Run "):
            if self._has_heading(job, step, depth):
                line = message.removeprefix("⭐ Run Main ").partition("\n")[0]
                self._write(job, step, f"##[group]Run {line.removeprefix('Run ')}\n##[endgroup]")
        elif not message.startswith(_HIDDEN_MESSAGES) and message.strip():
            self._write(job, step, f"##[error]{message.strip()}" if event.get("level") == "error" else message.strip())

    def _has_heading(self, job: Job, step: Step, depth: int) -> bool:
        """Whether a nested step gets a heading: steps of the repository's own actions do, those of overrides do not."""
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
        elif command not in _SILENT_COMMANDS and event.get("raw"):
            self._write(job, step, event["raw"].rstrip())

    @staticmethod
    def _write(job: Job, step: Step, text: str) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        lines = "".join(f"{moment} {line}\n" for line in text.split("\n"))
        for path in (job.path, step.path):
            with path.open("a", encoding="utf-8") as file:
                file.write(lines)
