"""`fraudops propose`: opens or updates the approval pull request of a model that passed the gate.

It verifies as `approve` does, writes to Git and GitHub alone, and merges nothing. Run again it brings the same pull
request up to date. There is one open approval at a time: what an older one proposed is closed with a word, and an older
one never takes the place of a newer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ml import config
from ml.aws import executions, registry
from ml.console import note, stage
from ml.errors import CloudError, GitError, Refused
from ml.gitops import approval_text, approvals, commit_messages, evidence_branch, labels, pull_requests, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.pull_requests import PullRequest
from ml.gitops.remote import Remote
from ml.gitops.repository import Repository
from ml.records import bot_pull_requests
from ml.records.approval import Approval, OutOfDate, approve
from ml.training import summary
from ml.training.gate_result import GateResult
from ml.workflow import toolkit


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """An approval's pull request, and what became of it; `pull_request` is None where none is needed (any more)."""

    approval: int
    model_package_arn: str
    state: Literal["created", "updated", "kept", "on main already", "superseded"]
    pull_request: int | None = None
    url: str | None = None
    branch: str | None = None
    commit: str | None = None
    superseded: tuple[int, ...] = ()
    """The pull requests that were closed because this one took their place."""
    checked: bool = False
    """Whether ci.yml was started for it here, as its token starts nothing."""


def propose(root: Path, *, outcome: Path, main: str = "main") -> Proposed:
    """Opens the pull request that approves the package of `outcome`, or brings it up to date.

    Args:
        outcome: the file that `fraudops train --outcome` wrote.

    Raises:
        Refused: the gate said no, or what was trained, evaluated and registered does not agree.
        OutOfDate: another model serves than the one that it was compared with; what was proposed of it is closed.
        GitError, GitHubError, CloudError: run it again when the cause is gone; it goes on from there.
    """
    found = GateResult.read(outcome)
    if found.verdict != "passed" or found.package_arn is None or found.version is None:
        raise Refused(f"{outcome}: the gate said no ({found.reason}); record that with `fraudops record-failure`")
    github, remote = GitHub.from_environment(), Remote(Repository.find(root))
    branch, base = approvals.branch_name(found.version), f"{remote.name}/{main}"
    if remote.fetch(main) is None:
        raise GitError(f"{remote.name} has no branch {main}, so there is nothing to merge an approval into")
    seen = remote.adopt(branch)
    numbered = {
        pull: approvals.number_of(pull.branch) for pull in pull_requests.open_below(github, approvals.PREFIX, base=main)
    }
    # What people have called approve/something is theirs.
    others = [pull for pull, number in numbered.items() if number not in (None, found.version)]
    newer = [pull for pull in others if (numbered[pull] or 0) > found.version]
    if newer:
        return _settled(found, "superseded", f"#{newer[-1].number} proposes a model that was trained later")
    try:
        approval = approve(root, found.package_arn, execution_arn=found.execution_arn, main=base)
    except OutOfDate as error:
        _close_out_of_date(github, branch, main, error)
        waiting = f" {', '.join(found.requests)} stay open until then." if found.requests else ""
        said = f"{error}. A re-run compares with the same model again: start train.yml anew, by hand.{waiting}"
        toolkit.summary(summary.not_proposed(said, found))
        raise
    if approval.state == "on main already":
        return _settled(found, "on main already", "it was merged before, and is what main says serves")
    tip = remote.commit_of(f"refs/heads/{branch}")
    record = approvals.recorded(remote, tip, found.version)
    if record is None:
        raise GitError(f"branch {branch} has lost its record; delete it and run this again")
    current = pull_requests.find(github, branch, base=main)
    replaced = sorted({*(_replaced(current.body) if current else ()), *(pull.number for pull in others)})
    with stage("Drawing and publishing the pictures"):
        text = approval_text.approval(_page(github, remote, record, base=base, asked=found.asked, replaced=replaced))
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=branch,
        commit=tip,
        seen=seen,
        base=main,
        title=commit_messages.approval_title(record),
        body=text,
        label=labels.APPROVAL,
    )
    closed = pull_requests.supersede(
        github,
        [pull.number for pull in others],
        by=f"#{opened.pull.number}",
        reason=f"it proposes {commit_messages.number(found.version)}, which was trained later.",
        delete_branch=True,
    )
    return _told(found, approval, opened, tuple(closed))


def _told(found: GateResult, approval: Approval, opened: bot_pull_requests.Opened, closed: tuple[int, ...]) -> Proposed:
    pull = opened.pull
    state: Literal["created", "updated", "kept"]
    state = "created" if pull.outcome == "created" else "updated" if opened.pushed else _outcome(pull)
    toolkit.output(pull_request=str(pull.number), url=pull.url)
    words = {"created": "opened", "updated": "brought up to date", "kept": "up to date already"}[state]
    toolkit.summary(
        summary.proposed(
            number=pull.number, url=pull.url, approval=approval.approval, outcome=words, closed=closed, found=found
        )
    )
    note(f"#{pull.number} {words}: {pull.url}")
    return Proposed(
        approval=approval.approval,
        model_package_arn=approval.model_package_arn,
        state=state,
        pull_request=pull.number,
        url=pull.url,
        branch=pull.branch,
        commit=approval.pointer_commit,
        superseded=closed,
        checked=opened.checked,
    )


def _outcome(pull: PullRequest) -> Literal["updated", "kept"]:
    return "updated" if pull.outcome == "updated" else "kept"


def _settled(found: GateResult, state: Literal["on main already", "superseded"], why: str) -> Proposed:
    number = found.version or 0
    said = f"Approval {commit_messages.number(number)} needs no pull request: {why}."
    note(said)
    toolkit.summary(summary.not_proposed(said, found))
    return Proposed(approval=number, model_package_arn=found.package_arn or "", state=state)


def _close_out_of_date(github: GitHub, branch: str, main: str, error: OutOfDate) -> None:
    pull = pull_requests.find(github, branch, base=main)
    if pull is not None:
        reason = f"main serves {error.serves} meanwhile, and this model was compared with another."
        pull_requests.supersede(github, [pull.number], by=error.serves, reason=reason, delete_branch=True)


def _replaced(text: str) -> tuple[int, ...]:
    """The pull requests that the text of this one says it has replaced."""
    line = re.search(r"^" + re.escape(approval_text.REPLACES) + r"((?:#\d+(?:, )?)+)", text, re.M)
    return tuple(int(number) for number in re.findall(r"#(\d+)", line[1])) if line else ()


def _page(
    github: GitHub, remote: Remote, record: config.ApprovalRecord, *, base: str, asked: str, replaced: Sequence[int]
) -> approval_text.Approval:
    package = registry.package(record.model_package_arn)
    evaluation = registry.evaluation(package)
    since = _champion_commit(remote, record, base)
    folder = config.MODEL.parent
    return approval_text.Approval(
        record=record,
        evaluation=evaluation,
        evaluation_uri=package.evaluation_uri,
        serving=serving_pointer.at(remote, base),
        configuration_diff=remote.diff(since, record.commit, folder) if since is not None else "",
        since=since,
        requests=_requests(remote, record),
        steps=_steps(remote, record),
        pictures=_pictures(github, record, evaluation),
        commit_url=f"{github.url}/commit/{record.commit}",
        run_url=toolkit.run_url(),
        asked=asked,
        replaces=replaced,
    )


def _pictures(github: GitHub, record: config.ApprovalRecord, evaluation: Mapping[str, Any]) -> dict[str, str]:
    from ml.report import evaluation_plots

    number = commit_messages.number(record.approval)
    drawn = {f"approvals/{number}/{name}": content for name, content in evaluation_plots.draw(evaluation).items()}
    addresses = evidence_branch.publish(github, drawn, subject=f"approval {number}")
    return {path.rsplit("/", 1)[1]: address for path, address in addresses.items()}


def _champion_commit(repository: Repository, record: config.ApprovalRecord, base: str) -> str | None:
    """The commit that the champion was trained from, if there is a champion."""
    if record.champion is None:
        return None
    champion = approvals.recorded(repository, base, record.champion.approval)
    return champion.commit if champion is not None else None


def _requests(repository: Repository, record: config.ApprovalRecord) -> dict[str, config.RetrainRequest]:
    """The requests that the model answers, as its commit has them."""
    found = {}
    for name in record.requests:
        path = config.REQUESTS / f"{name}.yaml"
        content = repository.show(record.commit, path)
        if content is not None:
            found[name] = config.parse(content.decode("utf-8", "replace"), path, config.RetrainRequest)
    return found


def _steps(repository: Repository, record: config.ApprovalRecord) -> list[approval_text.Step]:
    """What the run's jobs cost; nothing where SageMaker has forgotten the run, which holds no model up."""
    content = repository.show(record.commit, config.MODEL) or b""
    compute = config.parse(content.decode("utf-8", "replace"), config.MODEL, config.ModelFile).compute
    try:
        steps = executions.describe(record.execution_arn).steps
    except CloudError as error:
        note(f"the cost of the run is not known: {error}")
        return []
    return [
        approval_text.Step(
            name=step.name, seconds=0.0 if step.cached else step.seconds or 0.0, instance_type=compute.instance_type
        )
        for step in steps
        if step.job_arn or step.cached
    ]
