"""The person of a simulated year, who is a rule: it fires the schedule, and merges what passed every check.

Nothing else is done by hand: requests, trainings, proposals, deployments are the workflows' own. A training whose model
failed the gate ends its run with a failure, as it should; any other failure ends the simulation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ml import console
from ml.playground.developer import Forge, RunFailed

if TYPE_CHECKING:
    from github.Issue import Issue
    from github.PullRequest import PullRequest
    from local_github.actions.run_records import Run

RULE = "An approval whose every check has passed is merged at once. No person looks at it: this is a simulation."
APPROVALS = "approve/"
TRAINING, DRIFT = "train.yml", "drift.yml"
_CRON_KEY = "schedule"


class Player(Forge):
    """A repository that is run by the rule."""

    @property
    def runs_of(self) -> list[Run]:
        """Every run so far, oldest first."""
        return sorted(self._runs(), key=lambda run: run.id)

    def failed(self, run: Run) -> bool:
        """Whether a run failed for another reason than that its model failed the gate."""
        return super().failed(run) and not gate_failed(run)

    def train(self, reason: str) -> None:
        """Starts train.yml by hand, as a person does for the first model, and waits for what comes of it."""
        if not self._remote.get_workflow(TRAINING).create_dispatch("main", {"reason": reason}):
            raise RunFailed(f"{TRAINING} could not be started")
        self._settled(None)

    def check(self) -> Run:
        """Fires drift.yml's schedule, and waits for it and for all that it starts; its run."""
        before = {run.id for run in self._runs()}
        self._clouds.actions.fire_schedule(self._cron(), self.full_name)
        self._settled(None)
        started = [run for run in self.runs_of if run.id not in before and Path(run.file).name == DRIFT]
        if len(started) != 1:
            raise RunFailed(f"the schedule should have started {DRIFT} once (got {len(started)} runs)")
        return started[0]

    def approve(self) -> list[int]:
        """Merges every open approval by the rule, and waits for its deployment; the pull requests' numbers."""
        numbers = []
        for pull in self._open():
            status = self._remote.get_commit(pull.head.sha).get_combined_status()
            if status.state != "success":
                console.note(f"   #{pull.number} is left open: its checks say {status.state}")
                continue
            pull.create_issue_comment(RULE)
            self.merge(pull.number)
            numbers.append(pull.number)
        self.update()
        return numbers

    def update(self) -> None:
        """Brings the clone up to date with what the workflows have pushed."""
        self._git("pull", "--quiet", "--ff-only", "origin", "main")

    def pulls_by_branch(self) -> dict[str, int]:
        """The number of the pull request that each branch was proposed by."""
        return {pull.head.ref: pull.number for pull in self._remote.get_pulls(state="all")}

    def issues(self) -> list[Issue]:
        """Every issue, oldest first; pull requests are none."""
        found = self._remote.get_issues(state="all", sort="created", direction="asc")
        return [issue for issue in found if issue.pull_request is None]

    def _open(self) -> list[PullRequest]:
        return [pull for pull in self._remote.get_pulls(state="open") if pull.head.ref.startswith(APPROVALS)]

    def _cron(self) -> str:
        import yaml

        # YAML 1.1 reads the key `on` as true.
        document = yaml.load((self.root / ".github/workflows" / DRIFT).read_text("utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - text only
        return str(document["on"][_CRON_KEY][0]["cron"])


def gate_failed(run: Run) -> bool:
    """Whether a run of train.yml ended with a model that failed the gate, and with that alone."""
    verdicts = [outputs.get("verdict") for job in run.jobs for outputs in job.outputs.values()]
    return Path(run.file).name == TRAINING and "failed" in verdicts
