"""`fraudops propose`: opens or updates the approval pull request of a model that passed the gate.

It verifies the package as `approve` does, writes to Git and GitHub only, and merges nothing. A second run updates the
same pull request. There is one open approval at a time: a newer one closes older ones, and an older one never replaces
a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.console import note, stage
from ml.errors import GitError, Refused
from ml.gitops import approval_decision, approval_text, approvals, commit_messages, labels, pull_requests, reason_text
from ml.gitops.approvals import ApprovalBranch
from ml.gitops.github_client import GitHub
from ml.gitops.pull_requests import PullRequest
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.records import bot_pull_requests
from ml.records.package_proposal import OutOfDate, propose_package
from ml.training import approval_page, step_summary
from ml.training.gate_result import GateResult
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """The approval pull request and its state; `pull_request` is None if none is needed."""

    approval: int
    model_package_arn: str
    state: Literal["created", "updated", "kept", "on main already", "superseded"]
    pull_request: int | None = None
    url: str | None = None
    branch: str | None = None
    commit: str | None = None
    superseded: tuple[int, ...] = ()
    """The pull requests that were closed because this one replaces them."""
    checked: bool = False
    """Whether ci.yml was dispatched for it, because the workflow token's pull requests start no workflow."""


def propose(root: Path, *, outcome: Path, main: str = "main") -> Proposed:
    """Opens or updates the pull request that approves the package of `outcome`.

    Args:
        outcome: the file that `fraudops train --outcome` wrote.

    Raises:
        Refused: the gate failed, or what was trained, evaluated and registered does not agree.
        OutOfDate: another model serves than the one that it was compared with; its open pull request is closed.
        GitError, GitHubError, CloudError: run it again once the reason is gone; it is idempotent.
    """
    result = GateResult.read(outcome)
    if result.verdict != "passed" or result.package_arn is None or result.version is None:
        raise Refused(f"{outcome}: the gate failed ({result.reason}); record that with `fraudops record-failure`")
    github, remote = GitHub.from_environment(), Remote(Repository.find(root))
    branch, base = approvals.branch_name(result.version), f"{remote.name}/{main}"
    if remote.fetch(main) is None:
        raise GitError(f"{remote.name} has no branch {main}, so there is nothing to merge an approval into")
    seen = remote.update_local_branch(branch)
    numbered = {
        pull: approvals.number_of(pull.branch) for pull in pull_requests.list_open(github, approvals.PREFIX, base=main)
    }
    # Branches that people have named approve/something are not the bot's.
    others = [pull for pull, number in numbered.items() if number not in (None, result.version)]
    newer = [pull for pull in others if (numbered[pull] or 0) > result.version]
    if newer:
        return _not_needed(result, "superseded", f"#{newer[-1].number} proposes a model that was trained later")
    try:
        proposal = propose_package(
            remote, result.package_arn, execution_arn=result.execution_arn, main=base, signs=True
        )
    except OutOfDate as error:
        _close_out_of_date(github, branch, main, error)
        open_requests = f" {', '.join(result.requests)} stay open until then." if result.requests else ""
        reason = f"{error}. A re-run compares with the same model again: start train.yml by hand.{open_requests}"
        runner_commands.summary(step_summary.not_proposed(reason, result))
        raise
    if proposal.state == "on main already":
        return _not_needed(result, "on main already", "it was merged before, and main points at it")
    tip = remote.commit_of(f"refs/heads/{branch}")
    current = pull_requests.find(github, branch, base=main)
    replaced = {*(approval_page.replaced_by(current.body) if current else ()), *(pull.number for pull in others)}
    with stage("Creating and publishing the plots"):
        page = approval_page.gather(
            github,
            remote,
            proposal.record,
            signed=proposal.signed,
            base=base,
            asked=result.asked,
            replaced=sorted(replaced),
        )
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=branch,
        commit=tip,
        seen=seen,
        base=main,
        title=approval_decision.title(
            proposal.record, page.evaluation, reason=reason_text.title(page.requests, page.settings)
        ),
        body=approval_text.render(page),
        label=labels.APPROVAL,
    )
    closed = pull_requests.supersede(
        github,
        [pull.number for pull in others],
        by=f"#{opened.pull.number}",
        reason=f"it proposes {commit_messages.number(result.version)}, which was trained later.",
        delete_branch=True,
    )
    return _report(result, proposal, opened, tuple(closed))


def _report(
    result: GateResult, proposal: ApprovalBranch, opened: bot_pull_requests.Opened, closed: tuple[int, ...]
) -> Proposed:
    pull = opened.pull
    state: Literal["created", "updated", "kept"]
    state = "created" if pull.outcome == "created" else "updated" if opened.pushed else _outcome(pull)
    runner_commands.output(pull_request=str(pull.number), url=pull.url)
    outcome = {"created": "opened", "updated": "updated", "kept": "up to date already"}[state]
    runner_commands.summary(
        step_summary.proposed(
            number=pull.number,
            url=pull.url,
            approval=proposal.record.approval,
            outcome=outcome,
            closed=closed,
            found=result,
        )
    )
    note(f"#{pull.number} {outcome}: {pull.url}")
    return Proposed(
        approval=proposal.record.approval,
        model_package_arn=proposal.record.model_package_arn,
        state=state,
        pull_request=pull.number,
        url=pull.url,
        branch=pull.branch,
        commit=proposal.pointer_commit,
        superseded=closed,
        checked=opened.checked,
    )


def _outcome(pull: PullRequest) -> Literal["updated", "kept"]:
    return "updated" if pull.outcome == "updated" else "kept"


def _not_needed(result: GateResult, state: Literal["on main already", "superseded"], why: str) -> Proposed:
    number = result.version or 0
    reason = f"Approval {commit_messages.number(number)} needs no pull request: {why}."
    note(reason)
    runner_commands.summary(step_summary.not_proposed(reason, result))
    return Proposed(approval=number, model_package_arn=result.package_arn or "", state=state)


def _close_out_of_date(github: GitHub, branch: str, main: str, error: OutOfDate) -> None:
    pull = pull_requests.find(github, branch, base=main)
    if pull is not None:
        reason = f"main serves {error.serves} meanwhile, and this model was compared with another."
        pull_requests.supersede(github, [pull.number], by=error.serves, reason=reason, delete_branch=True)
