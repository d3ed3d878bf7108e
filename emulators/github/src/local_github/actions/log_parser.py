"""Parses act's output, one JSON object per line, into the records and log files of a run."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from local_github.actions.run_records import Annotation, Job, Run, Step
from local_github.actions.workflow_file import Job as Definition

_LEVELS = {"error": "failure", "warning": "warning", "notice": "notice"}
POST_STEP = "local-post"
"""The id of the step that does what the post steps of actions do."""
_SET_UP, _COMPLETE = "--setup-job", "--complete-job"
_HIDDEN_MESSAGES = ("LocalRepositoryCache", "Cleaning up container", "🧪")
_RUNS_WHEN_CANCELLED = re.compile(r"\b(always|cancelled)\s*\(", re.IGNORECASE)
_SILENT_COMMANDS = ("debug", "add-mask", "set-output", "summary", "save-state", "stop-commands")


class LogParser:
    """Updates one job of `run` from act's output. `feed` is called from one thread; `lock` guards the records."""

    def __init__(
        self, run: Run, job: Job, definition: Definition, *, lock: threading.RLock, now: Callable[[], str]
    ) -> None:
        self._run, self._job, self._definition, self._lock, self._now = run, job, definition, lock, now
        self.started: float | None = None
        """When the job started, on the monotonic clock."""
        self.cancelling = False
        self.timed_out = False
        self.act_messages: list[str] = []
        """Messages of act that belong to no job."""

    def runs_despite_cancellation(self) -> bool:
        """Whether the step that runs is one that a cancelled job does not run: its `if` asks for no such job."""
        conditions = [str(step.get("if", "")) for step in self._definition.steps()]
        with self._lock:
            running = [step.number for step in self._job.steps[1:-1] if step.status == "in_progress"]
        return any(not _RUNS_WHEN_CANCELLED.search(conditions[number - 2]) for number in running)

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
        elif event["jobID"] == self._definition.id:  # not the job that reads the outputs
            with self._lock:
                self._handle(event)

    def annotate(self, level: str, message: str) -> None:
        """Adds an annotation of the runner to the job."""
        with self._lock:
            annotate(self._job, level, message)

    def _handle(self, event: dict[str, Any]) -> None:
        job = self._job
        if self.started is None:
            job.status, job.started = "in_progress", self._now()
            self.started = time.monotonic()
        if "jobResult" in event:
            result = event["jobResult"]
            cancelled = self.timed_out or (self.cancelling and result != "success")
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
        if not path or path[0] in (_COMPLETE, POST_STEP):
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
            write(job, step, message.rstrip("\r\n"))
        elif message.startswith("Failed but continue"):
            step.tolerated = step.tolerated or depth == 1
        elif "stepResult" in event:
            if depth == 1:
                step.finish("success" if step.tolerated else event["stepResult"], self._now())
        elif message.startswith("⭐ Run "):
            if self._has_heading(step, depth):
                line = message.removeprefix("⭐ Run Main ").partition("\n")[0]
                write(job, step, f"##[group]Run {line.removeprefix('Run ')}\n##[endgroup]")
        elif not message.startswith(_HIDDEN_MESSAGES) and message.strip():
            write(job, step, f"##[error]{message.strip()}" if event.get("level") == "error" else message.strip())

    def _has_heading(self, step: Step, depth: int) -> bool:
        """Whether a nested step gets a heading: steps of the repository's own actions do, those of overrides do not."""
        if step.key == "":
            return False
        uses = str(list(self._definition.steps())[step.number - 2].get("uses", ""))
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
            write(job, step, f"##[{command}]{argument}")
        elif command == "set-output" and len(event.get("stepID") or ()) == 1:
            job.outputs.setdefault(step.key, {})[event["name"]] = argument
        elif command == "summary":
            job.summary += event["content"]
        elif command in ("group", "endgroup"):
            write(job, step, f"##[{command}]{argument}")
        elif command not in _SILENT_COMMANDS and event.get("raw"):
            write(job, step, event["raw"].rstrip())


def write(job: Job, step: Step, text: str) -> None:
    """Appends lines with the current time to the logs of a step and its job."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    lines = "".join(f"{moment} {line}\n" for line in text.split("\n"))
    for path in (job.path, step.path):
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)


def annotate(job: Job, level: str, message: str) -> None:
    """Adds an annotation of the runner to a job and its log."""
    job.annotations.append(Annotation(level=level, message=message))
    write(job, job.steps[-1], f"##[error]{message}")
