"""Publishes commit statuses and deployments on GitHub while a training or deployment runs.

Where no GitHub is named (GITHUB_REPOSITORY and GITHUB_TOKEN), nothing is told. What is told decides nothing and is
recorded elsewhere, so an outage of GitHub outlives its patience as a warning: it must stop neither a training that
costs money nor a deployment that may be a rollback.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ml import console
from ml.errors import GitError, GitHubError
from ml.gitops import statuses
from ml.gitops.github_client import GitHub
from ml.workflow import toolkit

_BEGUN = "Training: "


def github() -> GitHub | None:
    """The repository on GitHub that the environment names; None where it names none."""
    named = all(os.environ.get(name) for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN"))
    return GitHub.from_environment() if named else None


@contextmanager
def attempt(doing: str) -> Iterator[None]:
    """Makes a failure of Git or GitHub inside the block a warning that begins with `doing`."""
    try:
        yield
    except (GitHubError, GitError) as error:
        console.command(toolkit.annotate("warning", f"{doing} failed, and nothing depends on it: {error}"))


def begun(commit: str) -> str | None:
    """The execution that an earlier attempt of this very run has begun for `commit`; None where none is known.

    A re-run has the number of its run, which the status that the attempt left beside the commit links.
    """
    found, url = github(), toolkit.run_url()
    if found is None or url is None or os.environ.get("GITHUB_RUN_ATTEMPT", "1") == "1":
        return None
    with attempt("looking for what this run has begun before"):
        for each in statuses.history(found, commit, statuses.TRAINING):
            if each.state == "pending" and each.target_url == url:
                return each.description.removeprefix(_BEGUN)
    return None


class Training:
    """The commit status `fraudops/training`: which execution trains the commit, and how that ended."""

    def __init__(self, commit: str, arn: str) -> None:
        self._github, self._commit, self._arn = github(), commit, arn

    def started(self) -> None:
        """There is an execution; its ARN is kept with the commit from now on."""
        self._say("pending", f"{_BEGUN}{self._arn}")

    def passed(self, approval: int, reason: str) -> None:
        """It has registered a model package."""
        self._say("success", f"Model package {approval:04d} registered: {reason}")

    def gate_failed(self, reason: str) -> None:
        """The gate said no."""
        self._say("failure", f"Gate failed: {reason}")

    def failed(self, reason: str) -> None:
        """It ended otherwise, or nobody knows how."""
        self._say("error", reason)

    def _say(self, state: statuses.State, description: str) -> None:
        if self._github is None:
            return
        with attempt("saying how the training goes"):
            statuses.set_status(
                self._github,
                self._commit,
                context=statuses.TRAINING,
                state=state,
                description=description,
                target_url=toolkit.run_url(),
            )


class Deployment:
    """A GitHub deployment of `commit` to the environment named for its endpoint."""

    def __init__(self, commit: str, *, endpoint: str, approval: int) -> None:
        self._github, self._deployment = github(), None
        if self._github is not None:
            with attempt("recording the deployment on GitHub"):
                self._deployment = statuses.begin_deployment(
                    self._github,
                    commit,
                    environment=endpoint,
                    description=f"Serve approval {approval:04d}",
                    payload={"approval": approval},
                )

    def began(self, what: str) -> None:
        """It is under way."""
        self._say("in_progress", what)

    def succeeded(self, what: str) -> None:
        """The model serves."""
        self._say("success", what)

    def failed(self, why: str) -> None:
        """It does not."""
        self._say("failure", why)

    def _say(self, state: statuses.DeploymentState, description: str) -> None:
        if self._github is None or self._deployment is None:
            return
        with attempt("saying how the deployment goes"):
            statuses.set_deployment(
                self._github, self._deployment, state=state, description=description, log_url=toolkit.run_url()
            )
