"""Waits for the workflow runs of one repository on the GitHub emulator, and prints each as it starts and ends.

It starts, approves and cancels none. A run that fails is an error that names its log.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml import console
from ml.errors import FraudopsError

if TYPE_CHECKING:
    from local_github.actions.run_records import Run

    from ml.playground.emulators import Emulators

RUN_SECONDS = 3 * 3_600  # longer than any job may take: then it is the job that says why
TRAINING, DEPLOYMENT, DRIFT = "train.yml", "deploy.yml", "drift.yml"
_POLL_SECONDS = 0.2
_SUCCESSFUL = ("success", "skipped")
_SHOWN = ("in_progress", "waiting")


class RunFailed(FraudopsError):
    """A workflow run failed or did not start."""


class WorkflowWatch:
    """The workflow runs of one repository.

    Args:
        repository: OWNER/NAME.
        review: called when runs wait for a reviewer of their environment; returns whether it let one continue.
        gate_may_fail: whether a training run whose model fails the gate is no failure.
    """

    def __init__(
        self, emulators: Emulators, repository: str, *, review: Callable[[], bool], gate_may_fail: bool = False
    ) -> None:
        self._emulators, self._repository, self._review = emulators, repository, review
        self._gate_may_fail = gate_may_fail

    def runs(self) -> list[Run]:
        """Every run, oldest first, without those that did nothing: ci-status.yml is skipped without a status App."""
        found = [run for run in self._emulators.actions.runs(self._repository) if run.conclusion != "skipped"]
        return sorted(found, key=lambda run: run.id)

    def wait(self, needed: str | None = None, sha: str | None = None) -> None:
        """Waits until no run is active. A job that waits for a reviewer is reviewed while the other runs go on.

        Raises:
            RunFailed: a run failed, waits for a review that nobody gives, or none of the workflow `needed` started for
                `sha`.
        """
        with self._log():
            try:
                self._wait_and_review()
            except TimeoutError as error:
                raise RunFailed(f"{error} (logs: {self._emulators.folder})") from error
        for run in self.runs():
            if self._has_failed(run):
                raise RunFailed(_failure_reason(run))
        if needed and not [run for run in self.runs() if Path(run.file).name == needed and run.sha == sha]:
            raise RunFailed(f"{needed} should have started for {sha} and did not")

    def _wait_and_review(self) -> None:
        asked: set[int] = set()
        while True:
            self._emulators.actions.wait(RUN_SECONDS, until=lambda: not self._waiting_jobs() <= asked)
            waiting = self._waiting_jobs()
            if waiting <= asked:  # every run has ended or waits for a review that was not given
                if not waiting or not self._review():
                    return
            else:
                asked.update(waiting)
                self._review()

    def _waiting_jobs(self) -> set[int]:
        return {job.id for run in self.runs() for job in run.jobs if job.status == "waiting"}

    def _has_failed(self, run: Run) -> bool:
        if self._gate_may_fail and gate_failed(run):
            return False
        return run.conclusion not in _SUCCESSFUL

    @contextmanager
    def _log(self) -> Iterator[None]:
        """Prints every run that starts or ends within the block."""
        seen = {run.id: str(run.conclusion) if run.conclusion else "" for run in self.runs()}
        stop = threading.Event()

        def print_changes() -> None:
            for run in self.runs():
                state = run.conclusion or (run.status if run.status in _SHOWN else "")
                if state and seen.get(run.id) != state:
                    seen[run.id] = state
                    console.note(f"   {Path(run.file).name} on {run.event} of {run.sha[:12]}: {_describe(run)}")

        def poll() -> None:
            while not stop.wait(_POLL_SECONDS):
                print_changes()

        watcher = threading.Thread(target=poll, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            print_changes()


def gate_failed(run: Run) -> bool:
    """Whether this is a run of train.yml whose model failed the gate."""
    verdicts = [outputs.get("verdict") for job in run.jobs for outputs in job.outputs.values()]
    return Path(run.file).name == TRAINING and "failed" in verdicts


def _describe(run: Run) -> str:
    if run.conclusion is None:
        return "waiting for a reviewer" if run.status == "waiting" else "in progress"
    ran = [f"{job.name}" for job in run.jobs if job.conclusion == "success"]
    return f"{run.conclusion}{': ' + ', '.join(ran) if ran else ''}"


def _failure_reason(run: Run) -> str:
    if run.status == "waiting":
        return f"{run.file} waits for a reviewer of its environment, who has not approved it (logs: {run.folder})"
    for job in run.jobs:
        for step in job.steps:
            if step.conclusion == "failure":
                last = [line for line in step.log.strip().splitlines() if line.strip()][-3:]
                return f"{run.file} failed in {job.name}, step {step.name}: {' | '.join(last)} (log: {step.path})"
    return f"{run.file} ended {run.conclusion}: {run.message or 'no step has a message'} (logs: {run.folder})"
