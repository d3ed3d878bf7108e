"""`fraudops ci-status`: reports the results of ci.yml's jobs as one commit status, which branch protection requires.

A skipped job counts as passed only if it was meant to be skipped; GitHub counts every skipped check as a success. If
the status cannot be posted, the commit has none, which blocks the merge as well. A branch that is checked without its
pull request gets no status, because its author was not checked. For a merge queue the status is on the merge group's
head commit, which becomes main.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml.console import note
from ml.errors import ConfigError, FraudopsError
from ml.gitops import markdown_escaping as markdown
from ml.workflow import changed_files, ci_results, runner_commands

_MAIN = "refs/heads/main"


class ChecksFailed(FraudopsError):
    """At least one job of ci.yml did not pass."""


@dataclass(frozen=True, kw_only=True)
class CiStatus:
    """The results of all jobs, if the checks passed."""

    sha: str
    results: Mapping[str, str]
    posted: bool
    """Whether the commit status was posted; a fork's token may not, and a branch without its pull request gets none."""


def ci_status(*, pull_request: int | None = None) -> CiStatus:
    """Posts the commit status `fraudops/ci` for the results in FRAUDOPS_NEEDS, the `needs` context as JSON.

    Raises:
        ChecksFailed: a job failed, was cancelled, or was skipped though it should have run.
        ConfigError: FRAUDOPS_NEEDS is missing or malformed.
        GitHubError: the status cannot be posted.
    """
    needs, event = _needs(), os.environ.get("GITHUB_EVENT_NAME", "")
    pull, group = changed_files.pull_request(pull_request), changed_files.merge_group()
    checked = pull or group
    sha = checked.head_sha if checked is not None else os.environ.get("GITHUB_SHA", "")
    wrong = ci_results.problems(needs, event=event, about_pull_request=pull is not None)
    results = {name: str(job.get("result")) for name, job in needs.items()}
    rows = [[markdown.code(name), result, markdown.text(wrong.get(name, ""))] for name, result in results.items()]
    runner_commands.summary(
        f"### {'Not passed' if wrong else 'All checks passed'}\n\n{markdown.table(['job', 'result', ''], rows)}"
    )
    description = (
        "; ".join(f"{name} {reason}" for name, reason in wrong.items())
        or f"{len(needs)} jobs passed or were not needed"
    )
    # A merge group's pull requests have passed with their authors checked, or GitHub would not have queued them.
    of_main = pull is None and (group is not None or event == "push" or os.environ.get("GITHUB_REF") == _MAIN)
    by_app = bool(os.environ.get("FRAUDOPS_STATUS_APP"))
    posted = not by_app and (of_main or (pull is not None and not pull.read_only))
    if posted:
        from ml.gitops import commit_statuses
        from ml.gitops.github_client import GitHub

        commit_statuses.set_status(
            GitHub.from_environment(),
            sha,
            context=commit_statuses.CI,
            state="failure" if wrong else "success",
            description=description,
            target_url=runner_commands.run_url(),
        )
    elif by_app:
        note("ci-status.yml posts the status as an App of its own, once this run has ended")
    elif pull is None:
        note(
            "a branch that is checked without its pull request gets no commit status; name it: "
            "gh workflow run ci.yml --ref BRANCH --field pull_request=N"
        )
    else:
        note(
            "the token of a fork's pull request may not post a commit status; to make it mergeable, push its commits "
            "to a branch of this repository"
        )
    if wrong:
        raise ChecksFailed(f"{description}; see the jobs' logs")
    return CiStatus(sha=sha, results=results, posted=posted)


def _needs() -> Mapping[str, Mapping[str, Any]]:
    text = os.environ.get("FRAUDOPS_NEEDS", "")
    try:
        needs = json.loads(text)
    except ValueError:
        needs = None
    if not isinstance(needs, dict) or not all(isinstance(job, dict) for job in needs.values()):
        raise ConfigError(f"FRAUDOPS_NEEDS must be the needs context as JSON, as ci.yml passes it (got {text[:80]!r})")
    return needs
