"""The watch on workflow runs: when it has a job reviewed, and what it says about a run that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from github import Auth, Github
from github.EnvironmentProtectionRuleReviewer import ReviewerParams
from github.Repository import Repository as Remote

from ml.playground.emulators import Emulators
from ml.playground.workflow_watch import RunFailed, WorkflowWatch

REVIEWER = "reviewer"
JOB = """\
name: {name}
on: workflow_dispatch
jobs:
  only:
    runs-on: ubuntu-latest
{more}    steps: [{{run: '{run}'}}]
"""
PROTECTED = "    environment: production\n"


class Watched:
    """A repository on the emulators whose environment `production` needs a review."""

    def __init__(self, emulators: Emulators, remote: Remote) -> None:
        self.emulators, self._remote, self.full_name = emulators, remote, remote.full_name
        self.reviews = 0
        self.watch = WorkflowWatch(emulators, self.full_name, review=self._review)

    def start(self, name: str, run: str, more: str = "") -> str:
        """Adds a workflow, starts it and returns its commit."""
        text = JOB.format(name=name, run=run, more=more)
        self._remote.create_file(f".github/workflows/{name}.yml", f"Add {name} [skip ci]", text, branch="main")
        run_ = self.emulators.actions.dispatch(self.full_name, f"{name}.yml", "main", {}, actor=REVIEWER)
        return run_.sha

    def conclusions(self) -> dict[str, str | None]:
        """The conclusions of all runs by workflow."""
        return {run.workflow: run.conclusion for run in self.watch.runs()}

    def _review(self) -> bool:
        self.reviews += 1
        gate = self.emulators.actions.gate
        approved = False
        for run in self.watch.runs():
            if ids := [environment.id for environment in gate.pending(run)]:
                gate.review(run, ids, state="approved", comment="", reviewer=REVIEWER)
                approved = True
        return approved


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """The emulators with a repository that has one environment."""
    with Emulators(tmp_path / "clouds") as emulators:
        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        hub = Github(base_url=emulators.github.api_url, auth=Auth.Token(emulators.token), **pauses)
        emulators.github.token(REVIEWER)
        remote = hub.get_user().create_repo("watched", auto_init=True)
        remote.create_environment(
            "production",
            reviewers=[ReviewerParams("User", hub.get_user(REVIEWER).id)],
        )
        yield Watched(emulators, remote)


def test_job_is_reviewed_while_another_run_goes_on(watched: Watched, tmp_path: Path) -> None:
    """A run that ends only after the reviewed job has run ends."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    watched.start("check", f"cat {pipe}")
    watched.start("deploy", f"echo deployed > {pipe}", PROTECTED)
    watched.watch.wait()
    assert watched.conclusions() == {"check": "success", "deploy": "success"}
    assert watched.reviews == 1


def test_needed_workflow_must_have_run_for_the_commit(watched: Watched) -> None:
    """The error names the workflow that did not start."""
    commit = watched.start("check", "true")
    watched.watch.wait("check.yml", commit)
    with pytest.raises(RunFailed, match=r"deploy\.yml should have started"):
        watched.watch.wait("deploy.yml", commit)


def test_failed_run_is_an_error_with_its_last_lines(watched: Watched) -> None:
    """The error names workflow, job and step, and quotes the log."""
    watched.start("check", "echo the reason; exit 3")
    with pytest.raises(RunFailed, match=r"check\.yml failed in only, step .*the reason"):
        watched.watch.wait()


def test_run_without_a_review_is_an_error(watched: Watched) -> None:
    """A reviewer who approves nothing is asked once more when every other run has ended, and the wait ends."""
    asked: list[str] = []

    def refuse() -> bool:
        asked.append("asked")
        return False

    watched.start("deploy", "true", PROTECTED)
    watch = WorkflowWatch(watched.emulators, watched.full_name, review=refuse)
    with pytest.raises(RunFailed, match="waits for a reviewer"):
        watch.wait()
    assert len(asked) == 2
