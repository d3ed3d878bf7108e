"""Publishes commit statuses and deployments to GitHub. Decides nothing.

Without GITHUB_REPOSITORY and GITHUB_TOKEN it publishes nothing. After its retries, a GitHub error becomes a warning: it
must stop neither a training that costs money nor a deployment that may be a rollback.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ml import console
from ml.errors import GitError, GitHubError
from ml.gitops import commit_statuses, deployments
from ml.gitops.github_client import GitHub
from ml.workflow import runner_commands

_STARTED_PREFIX = "Training: "


def github() -> GitHub | None:
    """The GitHub repository that the environment names, or None."""
    named = all(os.environ.get(name) for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"))
    return GitHub.from_environment() if named else None


@contextmanager
def warn_on_failure(action: str) -> Iterator[None]:
    """Turns an error of Git or GitHub inside the block into a warning that begins with `action`."""
    try:
        yield
    except (GitHubError, GitError) as error:
        console.command(runner_commands.annotate("warning", f"{action} failed, and nothing depends on it: {error}"))


def previous_execution(commit: str) -> str | None:
    """ARN of the execution that an earlier attempt of this workflow run started for `commit`, or None.

    A re-run keeps the run's URL, which the commit status of the earlier attempt links to.
    """
    found, url = github(), runner_commands.run_url()
    if found is None or url is None or os.environ.get("GITHUB_RUN_ATTEMPT", "1") == "1":
        return None
    with warn_on_failure("finding the execution of an earlier attempt"):
        for each in commit_statuses.history(found, commit, commit_statuses.TRAINING):
            if each.state == "pending" and each.target_url == url:
                return each.description.removeprefix(_STARTED_PREFIX)
    return None


class TrainingStatus:
    """The commit status `fraudops/training`: the execution that trains the commit, and its result."""

    def __init__(self, commit: str, arn: str) -> None:
        self._github, self._commit, self._arn = github(), commit, arn

    def started(self) -> None:
        """Sets the status to pending, with the ARN of the execution."""
        self._publish("pending", f"{_STARTED_PREFIX}{self._arn}")

    def passed(self, approval: int, reason: str) -> None:
        """Sets the status to success: a model package is registered."""
        self._publish("success", f"Model package {approval:04d} registered: {reason}")

    def gate_failed(self, reason: str) -> None:
        """Sets the status to failure: the gate failed."""
        self._publish("failure", f"Gate failed: {reason}")

    def failed(self, reason: str) -> None:
        """Sets the status to error: the execution failed, or its result is unknown."""
        self._publish("error", reason)

    def _publish(self, state: commit_statuses.State, description: str) -> None:
        if self._github is None:
            return
        with warn_on_failure("publishing the training status"):
            commit_statuses.set_status(
                self._github,
                self._commit,
                context=commit_statuses.TRAINING,
                state=state,
                description=description,
                target_url=runner_commands.run_url(),
            )


class DeploymentStatus:
    """A GitHub deployment of `commit` to the environment named for its endpoint."""

    def __init__(self, commit: str, *, endpoint: str, approval: int) -> None:
        self._github, self._deployment = github(), None
        if self._github is not None:
            with warn_on_failure("recording the deployment on GitHub"):
                self._deployment = deployments.begin_deployment(
                    self._github,
                    commit,
                    environment=endpoint,
                    description=f"Serve approval {approval:04d}",
                    payload={"approval": approval},
                )

    def started(self, description: str) -> None:
        """Sets the deployment to in_progress."""
        self._publish("in_progress", description)

    def succeeded(self, description: str) -> None:
        """Sets the deployment to success."""
        self._publish("success", description)

    def failed(self, reason: str) -> None:
        """Sets the deployment to failure."""
        self._publish("failure", reason)

    def _publish(self, state: deployments.DeploymentState, description: str) -> None:
        if self._github is None or self._deployment is None:
            return
        with warn_on_failure("publishing the deployment status"):
            deployments.set_deployment(
                self._github, self._deployment, state=state, description=description, log_url=runner_commands.run_url()
            )
