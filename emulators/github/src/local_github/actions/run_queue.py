"""Queues runs and executes them: concurrency groups, worker threads, cancellation, re-runs.

At most `concurrent_runs` are executed at a time. A run that waits for its concurrency groups is `pending`; one that
waits for a worker is `queued`; one whose jobs wait for a review of their environment is `waiting`. The caller's
`RunLifecycle` prepares runs and reacts to their end.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from local_github.actions.act_runner import Attempt
from local_github.actions.concurrency import ConcurrencyGroups
from local_github.actions.dispatch_inputs import DispatchRefused
from local_github.actions.job_contract import JobHost
from local_github.actions.job_graph import JobGraph
from local_github.actions.run_records import Run
from local_github.actions.workflow_file import Workflow, WorkflowInvalid

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.02


@dataclass(kw_only=True)
class QueuedRun:
    """A run that entered the queue, also after its end; `workflow` is None if its file is invalid."""

    run: Run
    workflow: Workflow | None
    groups: tuple[tuple[str, bool], ...] = ()
    depth: int = 0
    """How many workflow_run events led to it."""
    cancel: threading.Event = field(default_factory=threading.Event)
    kill: threading.Event = field(default_factory=threading.Event)
    has_groups: bool = False


class RunLifecycle(Protocol):
    """What the queue calls during a run."""

    def prepare(self, entry: QueuedRun, on_change: Callable[[], None]) -> tuple[Attempt, JobHost]:
        """Returns the input of an attempt and the host of its jobs, which calls `on_change`."""

    def new_job_id(self) -> int:
        """Returns an id for a job."""

    def started(self, entry: QueuedRun) -> None:
        """Called when an attempt has started."""

    def ended(self, entry: QueuedRun) -> None:
        """Called in the run's thread when an attempt has ended."""


class RunQueue:
    """All runs of one emulator. `lock` guards their records."""

    def __init__(self, lifecycle: RunLifecycle, *, concurrent_runs: int, now: Callable[[], str]) -> None:
        self._lifecycle, self._concurrent_runs, self._now = lifecycle, concurrent_runs, now
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._groups: dict[str, ConcurrencyGroups] = {}
        self._waiting: list[QueuedRun] = []
        self._active: dict[int, threading.Thread] = {}
        self._busy = 0
        self._closed = False
        self.entries: dict[int, QueuedRun] = {}

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Prevents `wait` from returning while something may start runs."""
        with self.lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def enter(self, entry: QueuedRun, problem: str | None = None) -> None:
        """Adds an attempt; with a `problem` it ends at once as startup_failure."""
        run = entry.run
        run.attempt_folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            self.entries[run.id] = entry
            if problem is not None or self._closed:
                self._end(entry, "startup_failure", problem or "the GitHub emulator is stopping")
                return
            run.status = "pending" if entry.groups else "queued"
            groups = self._groups.setdefault(run.repository, ConcurrencyGroups())
            replaced, interrupted = groups.enter(run.id, entry.groups)
            self._waiting.append(entry)
            for other in replaced:
                self._stop(self.entries[other], f"Replaced by the newer waiting run {run.id} of its concurrency group")
            for other in interrupted:
                self._stop(self.entries[other], f"Replaced by run {run.id}: its group has cancel-in-progress")
            self._start_next()

    def _start_next(self) -> None:
        """Starts the runs that may start, oldest first. The caller holds the lock."""
        for entry in list(self._waiting):
            if not entry.has_groups:
                entry.has_groups = self._groups[entry.run.repository].try_activate(entry.run.id, entry.groups)
            if not entry.has_groups:
                continue
            entry.run.status = "queued"
            if self._working() >= self._concurrent_runs or self._closed:
                continue
            self._waiting.remove(entry)
            entry.run.status, entry.run.started = "in_progress", self._now()
            thread = threading.Thread(target=self._execute, args=(entry,), name=f"run-{entry.run.id}", daemon=True)
            self._active[entry.run.id] = thread
            thread.start()

    def _execute(self, entry: QueuedRun) -> None:
        run = entry.run
        conclusion, message = "startup_failure", ""
        try:
            attempt, host = self._lifecycle.prepare(entry, lambda: self._job_changed(run))
            graph = JobGraph(attempt, host, lock=self.lock, new_id=self._lifecycle.new_job_id, now=self._now)
            graph.prepare()
            self._lifecycle.started(entry)
            conclusion = graph.run()
            message = "; ".join(graph.problems)
        except WorkflowInvalid as error:
            message = str(error)
        except Exception as error:  # any error must end the run, so that waiting callers continue
            _log.exception("run %s", run.id)
            message = f"{type(error).__name__}: {error}"
        with self.busy():
            with self.lock:
                self._end(entry, conclusion, run.message or message)
                del self._active[run.id]
                self._start_next()
            self._lifecycle.ended(entry)

    def _job_changed(self, run: Run) -> None:
        """Sets the status of a run from its jobs: a run that waits for a review leaves its worker to others."""
        with self.lock:
            if run.id not in self._active:
                return
            open_jobs = {job.status for job in run.jobs if job.status != "completed"}
            run.status = "waiting" if "waiting" in open_jobs and "in_progress" not in open_jobs else "in_progress"
            run.updated = self._now()
            self._start_next()
            self._changed.notify_all()

    def _working(self) -> int:
        """The number of runs that occupy a worker."""
        active = [self.entries[run] for run in self._active]
        return sum(entry.run.status != "waiting" or entry.cancel.is_set() for entry in active)

    def _end(self, entry: QueuedRun, conclusion: str, message: str) -> None:
        run = entry.run
        for job in run.jobs:
            job.finish("cancelled" if conclusion == "cancelled" else "skipped", self._now())
        run.status, run.conclusion, run.message = "completed", conclusion, message
        run.updated = self._now()
        if run.repository in self._groups:
            self._groups[run.repository].leave(run.id)
        if entry in self._waiting:
            self._waiting.remove(entry)
        (run.attempt_folder / "run.json").write_text(json.dumps(run.journal(), indent=1) + "\n", "utf-8")
        self._changed.notify_all()

    def cancel(self, run_id: int, *, force: bool = False) -> bool:
        """Cancels a run; returns False if it has ended. A second call, or `force`, kills its processes."""
        with self.lock:
            entry = self.entries[run_id]
            if entry.run.status == "completed":
                return False
            self._stop(entry, "The run was canceled.", force=force)
            return True

    def _stop(self, entry: QueuedRun, reason: str, *, force: bool = False) -> None:
        if entry.run.id not in self._active:
            self._end(entry, "cancelled", reason)
            self._start_next()
            return
        if entry.cancel.is_set() or force:
            entry.kill.set()
        entry.run.message = entry.run.message or reason
        entry.cancel.set()

    def rerun(self, run_id: int, *, actor: str) -> Run:
        """Starts all jobs of an ended run again as its next attempt, on the same commit.

        Raises:
            DispatchRefused: it has not ended, or its workflow file is invalid.
        """
        with self.lock:
            entry = self.entries[run_id]
            run = entry.run
            if run.status != "completed" or entry.workflow is None:
                raise DispatchRefused("This workflow run cannot be retried")
            run.earlier_jobs[run.attempt] = run.jobs
            run.attempt += 1
            run.conclusion, run.message, run.jobs, run.triggered_by = None, "", [], actor
            run.updated = self._now()
            shutil.rmtree(run.artifacts, ignore_errors=True)
            fresh = QueuedRun(
                run=run,
                workflow=entry.workflow,
                groups=entry.groups,
                depth=entry.depth,
            )
            self.enter(fresh)
            return run

    def wait(self, timeout: float, unsettled: Callable[[], bool], until: Callable[[], bool] | None = None) -> None:
        """Waits until no run is queued or active, nothing may start one and `unsettled` is false, or `until` is true.

        Does not wait for runs that wait for a review of their environment or for the concurrency group of such a run.

        Raises:
            TimeoutError: after `timeout` seconds; the message names the open runs.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while (busy := self._is_busy()) or unsettled():
                if until is not None and until():
                    return
                left = deadline - time.monotonic()
                if left <= 0:
                    runs = [entry.run for entry in self.entries.values() if entry.run.status != "completed"]
                    names = ", ".join(f"{run.workflow} #{run.number} ({run.status})" for run in runs)
                    raise TimeoutError(f"after {timeout:g} s still open: {names or 'the delivery of events'}")
                self._changed.wait(left if busy else min(left, _POLL_SECONDS))  # `unsettled` does not notify

    def _is_busy(self) -> bool:
        return bool(self._working() or self._busy or any(entry.has_groups for entry in self._waiting))

    def close(self) -> None:
        """Kills all runs; starts no more."""
        with self.lock:
            self._closed = True
            for entry in list(self.entries.values()):
                if entry.run.status != "completed":
                    self._stop(entry, "The GitHub emulator was stopped.", force=True)
            threads = list(self._active.values())
        for thread in threads:
            thread.join()
