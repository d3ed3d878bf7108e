"""Runs from the moment they are created to their end: groups, places, threads, cancellation, attempts.

At most `concurrent_runs` go at a time; a run that has its groups and waits for a place is `queued`, one that waits for
its groups is `pending`. What a run is made of, and what follows it, are the caller's (`Host`).
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from local_github.actions.act_runner import Task, execute
from local_github.actions.concurrency import Groups
from local_github.actions.dispatch_inputs import DispatchRefused
from local_github.actions.log_parser import Recorder
from local_github.actions.run_records import Run, conclude
from local_github.actions.workflow_file import Workflow, WorkflowInvalid
from local_github.domain.state import now

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.02


@dataclass(kw_only=True)
class Entry:
    """A run in the queue, or one that has left it. `workflow` is None where its file could not be read."""

    run: Run
    workflow: Workflow | None
    groups: tuple[tuple[str, bool], ...] = ()
    depth: int = 0
    """How many runs it follows on by workflow_run."""
    cancel: threading.Event
    kill: threading.Event
    in_group: bool = False


class Host(Protocol):
    """What the queue asks of the service."""

    def prepare(self, entry: Entry) -> Task:
        """Everything that an attempt needs, tokens among it; WorkflowInvalid where that cannot be."""

    def new_job_id(self) -> int:
        """An id for a job."""

    def progress(self, entry: Entry) -> None:
        """Told when an attempt has begun."""

    def ended(self, entry: Entry) -> None:
        """Told when an attempt has ended, in its own thread; tokens go, and what follows is started."""


class Queue:
    """All runs of one local GitHub. `lock` guards their records."""

    def __init__(self, host: Host, *, concurrent_runs: int) -> None:
        self._host, self._places = host, concurrent_runs
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._groups: dict[str, Groups] = {}
        self._waiting: list[Entry] = []
        self._going: dict[int, threading.Thread] = {}
        self._busy = 0
        self._closed = False
        self.entries: dict[int, Entry] = {}

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Keeps `wait` from returning: something that may start runs is going on."""
        with self.lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def enter(self, entry: Entry, problem: str | None = None) -> None:
        """Queues an attempt: behind its groups, or straight away; `problem` ends it before it begins."""
        run = entry.run
        run.attempt_folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            self.entries[run.id] = entry
            if problem is not None or self._closed:
                self._end(entry, "startup_failure", problem or "the local GitHub is stopping")
                return
            run.status = "pending" if entry.groups else "queued"
            groups = self._groups.setdefault(run.repository, Groups())
            replaced, ended = groups.enter(run.id, entry.groups)
            self._waiting.append(entry)
            for other in replaced:
                self._stop(self.entries[other], f"Replaced by the newer waiting run {run.id} of its concurrency group")
            for other in ended:
                self._stop(self.entries[other], f"Replaced by run {run.id}: its group has cancel-in-progress")
            self._pump()

    def _pump(self) -> None:
        """Starts what may start, oldest first. Called with the lock held."""
        for entry in list(self._waiting):
            if not entry.in_group:
                entry.in_group = self._groups[entry.run.repository].take(entry.run.id, entry.groups)
            if not entry.in_group:
                continue
            entry.run.status = "queued"
            if len(self._going) >= self._places or self._closed:
                continue
            self._waiting.remove(entry)
            entry.run.status, entry.run.started = "in_progress", now()
            thread = threading.Thread(target=self._work, args=(entry,), name=f"run-{entry.run.id}", daemon=True)
            self._going[entry.run.id] = thread
            thread.start()

    def _work(self, entry: Entry) -> None:
        run, workflow = entry.run, entry.workflow
        assert workflow is not None  # noqa: S101 - a run without one ends as it enters
        conclusion, message = "startup_failure", ""
        try:
            task = self._host.prepare(entry)
            recorder = Recorder(run, workflow, lock=self.lock, new_id=self._host.new_job_id)
            self._host.progress(entry)
            code = execute(task, recorder)
            recorder.finish()
            conclusion = conclude(run.jobs, workflow, cancelled=recorder.cancelling)
            if code and not recorder.cancelling and not {job.conclusion for job in run.jobs} & {"failure", "cancelled"}:
                conclusion = "failure" if any(job.started for job in run.jobs) else "startup_failure"
                message = f"act ended with {code}: {' '.join(recorder.complaints)}"
        except WorkflowInvalid as error:
            message = str(error)
        except Exception as error:  # whatever goes wrong here must end the run, not hang those that wait
            _log.exception("run %s", run.id)
            message = f"{type(error).__name__}: {error}"
        with self.busy():
            with self.lock:
                self._end(entry, conclusion, run.message or message)
                del self._going[run.id]
                self._pump()
            self._host.ended(entry)

    def _end(self, entry: Entry, conclusion: str, message: str) -> None:
        run = entry.run
        for job in run.jobs:
            job.finish("cancelled" if conclusion == "cancelled" else "skipped")
        run.status, run.conclusion, run.message = "completed", conclusion, message
        run.touch()
        if run.repository in self._groups:
            self._groups[run.repository].leave(run.id)
        if entry in self._waiting:
            self._waiting.remove(entry)
        (run.attempt_folder / "run.json").write_text(json.dumps(run.journal(), indent=1) + "\n", "utf-8")
        self._changed.notify_all()

    def cancel(self, run_id: int, *, force: bool = False) -> bool:
        """Cancels a run; False where it has ended already. Once more, or with `force`, kills it."""
        with self.lock:
            entry = self.entries[run_id]
            if entry.run.status == "completed":
                return False
            self._stop(entry, "The run was canceled.", force=force)
            return True

    def _stop(self, entry: Entry, reason: str, *, force: bool = False) -> None:
        if entry.run.id not in self._going:
            self._end(entry, "cancelled", reason)
            self._pump()
            return
        if entry.cancel.is_set() or force:
            entry.kill.set()
        entry.run.message = entry.run.message or reason
        entry.cancel.set()

    def rerun(self, run_id: int, *, actor: str) -> Run:
        """Starts a run that has ended from its beginning as its next attempt, on the same commit.

        Raises:
            DispatchRefused: it goes on still, or could never start.
        """
        with self.lock:
            entry = self.entries[run_id]
            run = entry.run
            if run.status != "completed" or entry.workflow is None:
                raise DispatchRefused("This workflow run cannot be retried")
            run.former[run.attempt] = run.jobs
            run.attempt += 1
            run.conclusion, run.message, run.jobs, run.triggered_by = None, "", [], actor
            run.touch()
            shutil.rmtree(run.artifacts, ignore_errors=True)
            fresh = Entry(
                run=run,
                workflow=entry.workflow,
                groups=entry.groups,
                depth=entry.depth,
                cancel=threading.Event(),
                kill=threading.Event(),
            )
            self.enter(fresh)
            return run

    def wait(self, timeout: float, unsettled: Callable[[], bool]) -> None:
        """Returns once nothing waits, goes or is about to start something, and nothing is `unsettled` elsewhere.

        Raises:
            TimeoutError: that took longer than `timeout` seconds; names what still goes.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (here := bool(self._waiting or self._going or self._busy)) or unsettled():
                left = deadline - time.monotonic()
                if left <= 0:
                    runs = [entry.run for entry in self.entries.values() if entry.run.status != "completed"]
                    busy = ", ".join(f"{run.workflow} #{run.number} ({run.status})" for run in runs)
                    raise TimeoutError(f"after {timeout:g} s still going: {busy or 'the delivery of events'}")
                self._changed.wait(left if here else min(left, _LOOK_SECONDS))  # nobody tells of elsewhere

    def close(self) -> None:
        """Kills what goes, and starts nothing any more."""
        with self.lock:
            self._closed = True
            for entry in list(self.entries.values()):
                if entry.run.status != "completed":
                    self._stop(entry, "The local GitHub was stopped.", force=True)
            threads = list(self._going.values())
        for thread in threads:
            thread.join()
