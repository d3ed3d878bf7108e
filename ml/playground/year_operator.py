"""Simulates the operator of the year: starts the first training, fires the schedule, merges what was approved.

Nothing else: requests, trainings, pull requests and deployments come from the workflows, and approvals from the
scripted reviewer. A training run whose model fails the gate is expected; any other failed run ends the simulation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml import console
from ml.playground.developer import APPROVALS, Developer, approvers
from ml.playground.workflow_watch import DEPLOYMENT, DRIFT, TRAINING, RunFailed

if TYPE_CHECKING:
    from github.Issue import Issue
    from local_github.actions.run_records import Run

    from ml.playground.emulators import Emulators

_CRON_KEY = "schedule"


class YearOperator(Developer):
    """A developer who runs the loop for a year and changes nothing in it."""

    def __init__(
        self, emulators: Emulators, *, root: Path, place: Path, name: str, data: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(emulators, root=root, place=place, name=name, gate_may_fail=True, data=data)

    @property
    def all_runs(self) -> list[Run]:
        """Every workflow run, oldest first."""
        return self._watch.runs()

    def start_training(self, reason: str) -> None:
        """Dispatches train.yml, as for the first model, and waits for every run."""
        if not self._remote.get_workflow(TRAINING).create_dispatch("main", {"reason": reason}):
            raise RunFailed(f"{TRAINING} could not be started")
        self._watch.wait()

    def run_drift_check(self) -> Run:
        """Fires the schedule of drift.yml and waits for every run; returns the run of drift.yml."""
        before = {run.id for run in self.all_runs}
        self._emulators.actions.fire_schedule(self._schedule(), self.full_name)
        self._watch.wait()
        started = [run for run in self.all_runs if run.id not in before and Path(run.file).name == DRIFT]
        if len(started) != 1:
            raise RunFailed(f"the schedule should have started {DRIFT} once (got {len(started)} runs)")
        return started[0]

    def merge_approvals(self) -> list[int]:
        """Merges every open approval that the reviewer approves, and waits for its deployment; returns the numbers."""
        numbers = []
        for number in self.open_pulls(APPROVALS):
            objection = self._reviewer.review(number)
            if objection is not None:
                console.note(f"   #{number} stays open: {objection}")
                continue
            self._merge(number, starts=DEPLOYMENT)
            numbers.append(number)
        self.update()
        return numbers

    def update(self) -> None:
        """Pulls main into the clone."""
        self._git("pull", "--quiet", "--ff-only", "origin", "main")

    def pulls_by_branch(self) -> dict[str, int]:
        """Pull request numbers by head branch."""
        return {pull.head.ref: pull.number for pull in self._remote.get_pulls(state="all")}

    def approvers_by_commit(self) -> dict[str, str]:
        """Who approved each merged pull request, by the merge's commit; several logins are separated by commas."""
        return {
            str(pull.merge_commit_sha): ", ".join(approvers(pull))
            for pull in self._remote.get_pulls(state="closed")
            if pull.merged_at is not None
        }

    def issues(self) -> list[Issue]:
        """Every issue, oldest first; without pull requests."""
        found = self._remote.get_issues(state="all", sort="created", direction="asc")
        return [issue for issue in found if issue.pull_request is None]

    def _schedule(self) -> str:
        import yaml

        # YAML 1.1 reads the key `on` as true.
        document = yaml.load((self.root / ".github/workflows" / DRIFT).read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only
        return str(document["on"][_CRON_KEY][0]["cron"])
