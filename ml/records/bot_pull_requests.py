"""Opens, updates, checks and closes the bot's pull requests. Never overwrites others' commits.

A pull request opened with the workflow token starts no workflow, so ci.yml is dispatched for it; one opened by an App
starts it. The workflow sets FRAUDOPS_TOKEN_FIRES accordingly.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ml import config
from ml.console import command
from ml.errors import ConfigError, GitHubError
from ml.gitops import approvals, comments, commit_messages, commit_statuses, promotions, pull_requests, rollbacks
from ml.gitops.github_client import GitHub
from ml.gitops.labels import Label
from ml.gitops.pull_requests import PullRequest
from ml.gitops.remote import Remote
from ml.records import approval_gate
from ml.workflow import runner_commands

CHECKS = "ci.yml"
AFTER_FAILURE = comments.marker_line("deployment failed")
"""The first line of a rollback pull request that a failed deployment opened, not a person."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A pull request, and whether its branch was pushed and its checks were dispatched."""

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
    """Opens or updates the one pull request from `branch`, at `commit`; a second call changes only what differs.

    Args:
        seen: the commit of the branch when it was fetched.
    """
    pushed = remote.push_branch(branch, commit, seen=seen).state == "pushed" if seen != commit else False
    pull = pull_requests.propose(github, branch=branch, base=base, title=title, body=body, labels=[label])
    # Decided by the commit's status, not by the push: a run that died in between pushed and dispatched nothing.
    checked = not push_triggers_workflows() and not _checked(github, commit)
    if checked:
        pull_requests.dispatch(github, CHECKS, ref=branch, inputs={"pull_request": str(pull.number)})
    return Opened(pull=pull, pushed=pushed, checked=checked)


def close_rollbacks(github: GitHub, *, serves: int, file: Path, main: str = "main") -> list[int]:
    """Closes the rollbacks of the pointer in `file` that a failed deployment proposed, now that `serves` is deployed;
    returns their numbers. Those of the other stage and those of people stay open.
    """
    failed = [
        pull.number
        for pull in pull_requests.list_open(github, rollbacks.PREFIX, base=main)
        if _after_failure(pull) and rollbacks.file_of(pull.branch) == file
    ]
    by = f"approval {commit_messages.number(serves)}"
    reason = "it serves now, and this was proposed because a deployment before had failed."
    return pull_requests.supersede(github, failed, by=by, reason=reason, delete_branch=True)


def close_stale(github: GitHub, remote: Remote, *, serves: int, main: str = "main") -> list[int]:
    """Closes the pull requests that the deployment of `serves` to production made out of date; returns their numbers.

    These are approvals and promotions of models that were compared with another one, promotions of the one that serves,
    and production's rollbacks that a failed deployment proposed. One without a readable record stays open: `validate`
    reports it, and it must not fail a deployment.
    """
    by = f"approval {commit_messages.number(serves)}"
    closed = close_rollbacks(github, serves=serves, file=config.SERVING, main=main)
    for pull in pull_requests.list_open(github, approvals.PREFIX, base=main):
        record = _proposed(remote, pull, approvals.number_of(pull.branch))
        compared = record.champion.approval if record is not None and record.champion is not None else None
        if record is None or serves in (record.approval, compared):
            continue
        against = f"approval {commit_messages.number(compared)}" if compared is not None else "no champion"
        reason = (
            f"it serves now, and the model proposed here was compared with {against}. Run train.yml again to compare "
            "it with the one that serves."
        )
        closed += pull_requests.supersede(github, [pull.number], by=by, reason=reason, delete_branch=True)
    for pull in pull_requests.list_open(github, promotions.PREFIX, base=main):
        record = _proposed(remote, pull, promotions.number_of(pull.branch))
        compared = record.champion.approval if record is not None and record.champion is not None else None
        if record is None or serves == compared:
            continue
        reason = "it serves in production now, and this was prepared when another model did."
        closed += pull_requests.supersede(github, [pull.number], by=by, reason=reason, delete_branch=True)
    return closed


def close_under_former_gate(github: GitHub, remote: Remote, *, main: str = "main") -> list[int]:
    """Closes approvals of models that another gate.yaml judged than the one on `main`; returns their numbers.

    Their checks do not run again when main changes, so they would stay green.
    """
    tip, closed = remote.fetch(main), list[int]()
    for pull in pull_requests.list_open(github, approvals.PREFIX, base=main) if tip is not None else []:
        record = _proposed(remote, pull, approvals.number_of(pull.branch))
        if tip is None or record is None or remote.resolve(record.commit) is None:
            continue
        changed = approval_gate.differences(remote, record, tip)
        if changed is not None:
            reason = f"it judges models now, and this one was judged by another gate ({changed})."
            by = f"gate.yaml of {tip[:12]}"
            closed += pull_requests.supersede(github, [pull.number], by=by, reason=reason, delete_branch=True)
    return closed


def push_triggers_workflows() -> bool:
    """Whether a push with the bot's token triggers workflows; GitHub ignores pushes made with GITHUB_TOKEN."""
    return os.environ.get("FRAUDOPS_TOKEN_FIRES", "").lower() != "false"


def _after_failure(pull: PullRequest) -> bool:
    return pull.body.startswith(AFTER_FAILURE)


def _proposed(remote: Remote, pull: PullRequest, number: int | None) -> config.ApprovalRecord | None:
    """The record of the approval `number` on the branch of a pull request; None if it has no readable one."""
    tip = remote.fetch(pull.branch)
    if number is None or tip is None:
        return None
    try:
        return approvals.read_record(remote, tip, number)
    except ConfigError as error:
        command(runner_commands.annotate("warning", f"#{pull.number} proposes what cannot be read, and stays: {error}"))
        return None


def _checked(github: GitHub, commit: str) -> bool:
    try:
        return commit_statuses.status(github, commit, commit_statuses.CI) is not None
    except GitHubError:  # a token that may not read statuses: better to check twice than never
        return False
