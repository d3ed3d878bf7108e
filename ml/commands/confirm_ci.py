"""`fraudops confirm-ci`: posts `fraudops/ci` for a finished run of ci.yml, as an App, from main's code and workflow.

A branch may change the workflow that checks it, and its token can post any status. So main requires the status of one
App, whose key only main's environment `ci-status` has, and this verb reads again what GitHub knows of the run: the
workflow file, the jobs and their results. It executes nothing of the branch. A branch that changes `.github/` brings
its own definition of the checks, which proves nothing by itself: it gets the status after somebody else has approved
that commit.

The status says that main's jobs passed on the branch's code. Whether that code is right is what a review is for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ml.console import note
from ml.errors import ConfigError, Refused
from ml.gitops import commit_statuses, finished_runs
from ml.gitops.finished_runs import FinishedRun, OpenPull
from ml.gitops.github_client import GitHub
from ml.workflow import ci_results

WORKFLOW = Path(".github/workflows/ci.yml")
_FOLDER = ".github"
_DATA = "model-config"
_REPORT = "required-checks"
"""The job that summarises the others; what it says is computed here again."""
_OF_BRANCHES = ("pull_request", "workflow_dispatch")
"""The events of main's ci.yml on a branch that is not main; another one is of the branch's own definition."""
_GROUP = re.compile(r"gh-readonly-queue/main/pr-\d+-([0-9a-f]{40})")
"""The branch of a merge group of main, which GitHub alone writes, with the commit that the group is stacked on."""

State = Literal["success", "failure", "pending"]


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The status that was posted, if any, and why."""

    run: int
    sha: str
    state: State | None
    """None if the commit gets no status."""
    description: str


def confirm_ci(root: Path, *, run: int) -> Confirmed:
    """Posts the status of a finished run with the token FRAUDOPS_STATUS_TOKEN; reads with GITHUB_TOKEN.

    Args:
        root: a checkout of main, whose ci.yml names the jobs.
        run: the id of the run.

    Raises:
        Refused: the run is not one of ci.yml; nothing was posted.
        ConfigError: FRAUDOPS_STATUS_TOKEN is missing, or the checkout has no ci.yml.
        GitHubError: the run cannot be read, or the status not posted.
    """
    token = os.environ.get("FRAUDOPS_STATUS_TOKEN")
    if not token:
        raise ConfigError(
            "FRAUDOPS_STATUS_TOKEN must hold a token of the App that posts fraudops/ci, as ci-status.yml sets it"
        )
    github = GitHub.from_environment()
    found = finished_runs.read(github, run)
    if found.path != WORKFLOW.as_posix():
        raise Refused(f"run {run} is one of {found.path}, not of {WORKFLOW}, so it proves nothing; nothing was posted")
    state, description = _judge(github, found, names(root))
    if state is None:
        note(description)
    else:
        poster = replace(github, token=token)
        commit_statuses.set_status(
            poster, found.sha, context=commit_statuses.CI, state=state, description=description, target_url=found.url
        )
    return Confirmed(run=run, sha=found.sha, state=state, description=description)


def names(root: Path) -> dict[str, str]:
    """The id of each job of main's ci.yml by its name, without the job that reports."""
    file = root / WORKFLOW
    if not file.is_file():
        raise ConfigError(f"{WORKFLOW} must be below {root}; run from the repository's root or give --repo")
    jobs = finished_runs.job_names(file.read_text(encoding="utf-8"))
    return {name: identifier for name, identifier in jobs.items() if identifier != _REPORT}


def _judge(github: GitHub, run: FinishedRun, jobs: Mapping[str, str]) -> tuple[State | None, str]:
    group = _GROUP.fullmatch(run.branch) if run.event == "merge_group" else None
    # A tag may be called main as well, so the commit has to be on it.
    of_main = group is not None or (run.branch == "main" and not run.fork and finished_runs.is_on_main(github, run.sha))
    pull = None if of_main or run.fork else finished_runs.open_pull(github, run.branch)
    without = _without_status(run, jobs, pull, of_main=of_main)
    if without:
        return None, without
    changed = finished_runs.changed_entries(github, run.sha, base=group[1] if group else "main")
    waiting = _unapproved(github, run, pull, changed) if pull is not None else None
    if waiting:
        return "pending", waiting
    needs: dict[str, dict[str, Any]] = {
        identifier: {"result": run.jobs[name]} for name, identifier in jobs.items() if name in run.jobs
    }
    # A commit of main differs from main in nothing: what its own definition of the checks skipped was not needed.
    needs.setdefault("changes", {})["outputs"] = {"code": str(bool(changed - {_DATA})).lower()}
    wrong = ci_results.problems(needs, event=run.event, about_pull_request=pull is not None)
    if wrong:
        return "failure", "; ".join(f"{name} {reason}" for name, reason in wrong.items())
    return "success", f"{len(needs)} jobs of main's ci.yml passed or were not needed"


def _without_status(run: FinishedRun, jobs: Mapping[str, str], pull: OpenPull | None, *, of_main: bool) -> str | None:
    """Why the commit gets no status of this run; None if it gets one."""
    if not run.ended:
        return f"run {run.id} has not ended, or a later attempt runs; its end starts this again"
    if run.fork:
        return "a fork's pull request gets no status; push its commits to a branch of this repository"
    why = None
    if not of_main and pull is None:
        why = f"branch {run.branch} has no open pull request into main, so its commit gets no status"
    elif not of_main and run.event not in _OF_BRANCHES:
        why = f"run {run.id} is of the event {run.event}, which main's ci.yml does not have for a branch"
    elif pull is not None and pull.sha != run.sha:
        why = f"#{pull.number} has moved on from {run.sha[:12]}; its newest commit has a run of its own"
    elif pull is not None and run.event == "workflow_dispatch" and run.jobs.get(_name(jobs, "plan")) == "skipped":
        why = f"run {run.id} was dispatched without its pull request, so its plan is missing"
    return why


def _name(jobs: Mapping[str, str], wanted: str) -> str:
    return next((name for name, identifier in jobs.items() if identifier == wanted), wanted)


def _unapproved(github: GitHub, run: FinishedRun, pull: OpenPull, changed: set[str]) -> str | None:
    """Why the run's definition of the checks is not main's and nobody else has approved it; None if either holds."""
    if _FOLDER not in changed:
        # A dispatched run takes the definition from its branch, which may be an old one of main.
        if run.event == "pull_request" or finished_runs.entry(github, run.sha, _FOLDER) == finished_runs.entry(
            github, "main", _FOLDER
        ):
            return None
        return f"{_FOLDER}/ of the branch is older than main's; update the branch"
    if finished_runs.approvers(github, pull):
        return None
    return f"changes {_FOLDER}/: needs an approving review, then: gh workflow run ci-status.yml --field run={run.id}"
