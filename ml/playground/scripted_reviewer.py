"""Simulates the reviewer of the year: fires the schedule and merges approvals whose checks passed.

It does nothing else: requests, trainings, pull requests and deployments come from the workflows. A training run whose
model fails the gate is expected; any other failed run ends the simulation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml import console
from ml.playground.developer import Developer, RunFailed

if TYPE_CHECKING:
    from github.Issue import Issue
    from github.PullRequest import PullRequest
    from local_github.actions.run_records import Run

RULE = "An approval whose every check has passed is merged at once. No person looks at it: this is a simulation."
APPROVALS = "approve/"
TRAINING, DRIFT = "train.yml", "drift.yml"
_CRON_KEY = "schedule"


class ScriptedReviewer(Developer):
    """A developer who merges every approval that passed its checks."""

    @property
    def all_runs(self) -> list[Run]:
        """Every workflow run, oldest first."""
        return sorted(self._runs(), key=lambda run: run.id)

    def has_failed(self, run: Run) -> bool:
        """Whether a run failed for another reason than a gate failure."""
        return super().has_failed(run) and not gate_failed(run)

    def start_training(self, reason: str) -> None:
        """Dispatches train.yml, as for the first model, and waits for every run."""
        if not self._remote.get_workflow(TRAINING).create_dispatch("main", {"reason": reason}):
            raise RunFailed(f"{TRAINING} could not be started")
        self._wait_for_runs(None)

    def run_drift_check(self) -> Run:
        """Fires the schedule of drift.yml and waits for every run; returns the run of drift.yml."""
        before = {run.id for run in self._runs()}
        self._emulators.actions.fire_schedule(self._schedule(), self.full_name)
        self._wait_for_runs(None)
        started = [run for run in self.all_runs if run.id not in before and Path(run.file).name == DRIFT]
        if len(started) != 1:
            raise RunFailed(f"the schedule should have started {DRIFT} once (got {len(started)} runs)")
        return started[0]

    def merge_approvals(self) -> list[int]:
        """Merges every open approval whose checks passed and waits for its deployment; returns the numbers."""
        numbers = []
        for pull in self._open_approvals():
            status = self._remote.get_commit(pull.head.sha).get_combined_status()
            if status.state != "success":
                console.note(f"   #{pull.number} stays open: its checks are {status.state}")
                continue
            pull.create_issue_comment(RULE)
            self.merge(pull.number)
            numbers.append(pull.number)
        self.update()
        return numbers

    def update(self) -> None:
        """Pulls main into the clone."""
        self._git("pull", "--quiet", "--ff-only", "origin", "main")

    def pulls_by_branch(self) -> dict[str, int]:
        """Pull request numbers by head branch."""
        return {pull.head.ref: pull.number for pull in self._remote.get_pulls(state="all")}

    def issues(self) -> list[Issue]:
        """Every issue, oldest first; without pull requests."""
        found = self._remote.get_issues(state="all", sort="created", direction="asc")
        return [issue for issue in found if issue.pull_request is None]

    def _open_approvals(self) -> list[PullRequest]:
        return [pull for pull in self._remote.get_pulls(state="open") if pull.head.ref.startswith(APPROVALS)]

    def _schedule(self) -> str:
        import yaml

        # YAML 1.1 reads the key `on` as true.
        document = yaml.load((self.root / ".github/workflows" / DRIFT).read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only
        return str(document["on"][_CRON_KEY][0]["cron"])


def gate_failed(run: Run) -> bool:
    """Whether this is a run of train.yml whose model failed the gate."""
    verdicts = [outputs.get("verdict") for job in run.jobs for outputs in job.outputs.values()]
    return Path(run.file).name == TRAINING and "failed" in verdicts
