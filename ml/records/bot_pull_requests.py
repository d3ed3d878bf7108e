"""Opens, updates, checks and closes the bot's pull requests. Never overwrites others' commits.

A pull request that a workflow's own token opens starts no check, so ci.yml is started for it; one that an App's token
opens starts it by itself. Which it is, the workflow says in FRAUDOPS_TOKEN_FIRES.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ml import config
from ml.console import command
from ml.errors import ConfigError, GitHubError
from ml.gitops import approvals, comments, commit_messages, pull_requests, rollbacks, statuses
from ml.gitops.github_client import GitHub
from ml.gitops.labels import Label
from ml.gitops.pull_requests import PullRequest
from ml.gitops.remote import Remote
from ml.workflow import toolkit

CHECKS = "ci.yml"
AFTER_FAILURE = comments.hidden("deployment failed")
"""The first line of a rollback's text that a failed deployment has proposed, and no person."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A pull request, and whether its branch was pushed and its checks were started here."""

    pull: PullRequest
    pushed: bool
    checked: bool


def pull_request(
    github: GitHub,
    remote: Remote,
    *,
    branch: str,
    commit: str,
    seen: str | None,
    base: str,
    title: str,
    body: str,
    label: Label,
) -> Opened:
    """The one open pull request from `branch`, at `commit`, with that text; run again it changes only what differs.

    Args:
        seen: what `remote.fetch` saw the branch point at.
    """
    pushed = remote.push_branch(branch, commit, seen=seen).state == "pushed" if seen != commit else False
    pull = pull_requests.propose(github, branch=branch, base=base, title=title, body=body, labels=[label])
    # By what was checked, not by what was pushed: a run that died in between has pushed and started nothing.
    checked = not _fires() and not _checked(github, commit)
    if checked:
        pull_requests.dispatch(github, CHECKS, ref=branch, inputs={"pull_request": str(pull.number)})
    return Opened(pull=pull, pushed=pushed, checked=checked)


def close_stale(github: GitHub, remote: Remote, *, serves: int, main: str = "main") -> list[int]:
    """Closes what the deployment of `serves`, which serves now, has made out of date; returns what it closed.

    These are approvals that were compared with another model, and rollbacks that were proposed because a deployment
    had failed. One whose record is not there or cannot be read stays: `validate` tells of it, and no deployment hangs
    on it.
    """
    by = f"approval {commit_messages.number(serves)}"
    failed = [
        pull.number for pull in pull_requests.open_below(github, rollbacks.PREFIX, base=main) if _after_failure(pull)
    ]
    reason = "it serves now, and this was proposed because a deployment before had failed."
    closed = pull_requests.supersede(github, failed, by=by, reason=reason, delete_branch=True)
    for pull in pull_requests.open_below(github, approvals.PREFIX, base=main):
        record = _proposed(remote, pull)
        compared = record.champion.approval if record is not None and record.champion is not None else None
        if record is None or serves in (record.approval, compared):
            continue
        against = f"approval {commit_messages.number(compared)}" if compared is not None else "no champion"
        reason = (
            f"it serves now, and the model proposed here was compared with {against}. Run train.yml again to compare "
            "it with the one that serves."
        )
        closed += pull_requests.supersede(github, [pull.number], by=by, reason=reason, delete_branch=True)
    return closed


def _after_failure(pull: PullRequest) -> bool:
    return pull.body.startswith(AFTER_FAILURE)


def _proposed(remote: Remote, pull: PullRequest) -> config.ApprovalRecord | None:
    """The record that an approval's pull request adds; None where it has none that can be read."""
    number, tip = approvals.number_of(pull.branch), remote.fetch(pull.branch)
    if number is None or tip is None:
        return None
    try:
        return approvals.recorded(remote, tip, number)
    except ConfigError as error:
        command(toolkit.annotate("warning", f"#{pull.number} proposes what cannot be read, and stays: {error}"))
        return None


def _checked(github: GitHub, commit: str) -> bool:
    try:
        return statuses.status(github, commit, statuses.CI) is not None
    except GitHubError:  # a token that may not read statuses: better to check twice than never
        return False


def _fires() -> bool:
    return os.environ.get("FRAUDOPS_TOKEN_FIRES", "").lower() != "false"
