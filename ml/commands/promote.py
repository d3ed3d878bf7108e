"""`fraudops promote`: prepares the pull request that moves the model of staging to production. Deploys nothing.

It promotes only what staging serves: the latest deployment there succeeded, with the digest of the approval record. The
pull request moves production's pointer and nothing else, so nothing is trained, evaluated or packed again. If
production's roll-out states a shadow, a complete comparison of that digest is needed; the pull request gets it as a
comment, which a later run updates.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import config
from ml.errors import GitError, Refused
from ml.gitops import approvals, comments, commit_messages, labels, promotions, pull_requests, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.promotions import PromotionBranch
from ml.gitops.remote import Remote
from ml.gitops.repository import Identity, Repository
from ml.records import bot_pull_requests
from ml.release import promotion_page, shadow_evidence, shadow_page, staged_deployment, step_summary
from ml.release.shadow_evidence import ShadowEvidence
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """A prepared promotion; `current` is what production serves until it is merged, None for nothing.

    `pull_request` and `url` are set if a pull request was requested.
    """

    approval: int
    artifact_sha256: str
    current: int | None
    branch: str
    commit: str
    state: Literal["created", "kept", "rebuilt"]
    merged: str | None
    says: str
    shadow: str | None = None
    """What the comparison of a shadow says; None if the roll-out has none."""
    pull_request: int | None = None
    url: str | None = None


def promote(
    root: Path,
    *,
    merge: bool = False,
    propose: bool = False,
    approver: Identity | None = None,
    main: str = "main",
) -> Promotion:
    """Creates the branch promote/NNNN, on which production's pointer names the approval that staging serves.

    Args:
        merge: also merge the branch into `main`, which must be checked out.
        propose: push the branch and open or update its pull request; older ones are closed.
        approver: the author of the merge; if None, Git's configured user.

    Raises:
        Refused: there is no staging, it does not serve what its pointer names, production serves or served that,
            its model was compared with another than the one that production serves, or the roll-out states a shadow
            and there is no complete comparison.
        GitError: the branch cannot be created, pushed or merged.
        GitHubError: the pull request cannot be opened; run it again.
        CloudError: what staging serves cannot be read.
    """
    if merge and propose:
        raise Refused("a promotion is either merged here or proposed as a pull request; choose one")
    repository = Repository.find(root)
    if merge and repository.branch() != main:
        raise GitError(f"merging a promotion needs {main} checked out (it is {repository.branch() or 'a commit'})")
    if propose:
        return _propose(Remote(repository), main)
    record = promotions.candidate(repository, main)
    staged = staged_deployment.find(record, serving_pointer.read(repository, main, config.STAGING))
    shadow = shadow_evidence.find(record, serving_pointer.read(repository, main), staged)
    prepared, merged = promotions.prepare(repository, main=main), None
    if merge:
        message = commit_messages.merge_promotion(prepared.record.approval, prepared.branch)
        merged = repository.merge(prepared.branch, message, author=approver)
    then = "run `fraudops deploy`" if merged else f"merge {prepared.branch} into {main}, then run `fraudops deploy`"
    return _promotion(prepared, merged=merged, then=then, shadow=shadow)


def _propose(remote: Remote, main: str) -> Promotion:
    github, base = GitHub.from_environment(), f"{remote.name}/{main}"
    if remote.fetch(main) is None:
        raise GitError(f"{remote.name} has no branch {main}, so there is nothing to promote")
    record, staging = promotions.candidate(remote, base), serving_pointer.read(remote, base, config.STAGING)
    production, staged = serving_pointer.read(remote, base), staged_deployment.find(record, staging)
    shadow = shadow_evidence.find(record, production, staged)
    branch = promotions.branch_name(record.approval)
    seen = remote.update_local_branch(branch)
    prepared = promotions.prepare(remote, main=base)
    champion = approvals.read_record(remote, base, prepared.current) if prepared.current is not None else None
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=branch,
        commit=prepared.commit,
        seen=seen,
        base=main,
        title=f"Promote approval {commit_messages.number(record.approval)} to production",
        body=promotion_page.body(prepared, champion, staged.latest, staging, production),
        label=labels.PROMOTION,
    )
    if shadow is not None:
        comments.upsert(
            github, opened.pull.number, shadow_page.MARKER, shadow_page.comment(shadow.document, shadow.uri)
        )
    older = [
        pull.number
        for pull in pull_requests.list_open(github, promotions.PREFIX, base=main)
        if pull.number != opened.pull.number and promotions.number_of(pull.branch) is not None
    ]
    reason = f"it promotes approval {commit_messages.number(record.approval)}, which staging serves now."
    pull_requests.supersede(github, older, by=f"#{opened.pull.number}", reason=reason, delete_branch=True)
    result = _promotion(prepared, merged=None, then=f"merge #{opened.pull.number}", shadow=shadow, pull=opened)
    runner_commands.output(pull_request=str(opened.pull.number), url=opened.pull.url)
    runner_commands.summary(step_summary.promotion(result.says, opened.pull.number, opened.pull.url))
    return result


def _promotion(
    prepared: PromotionBranch,
    *,
    merged: str | None,
    then: str,
    shadow: ShadowEvidence | None,
    pull: bot_pull_requests.Opened | None = None,
) -> Promotion:
    approval, current = prepared.record.approval, prepared.current
    instead = f"in place of {current:04d}" if current is not None else "as the first model"
    return Promotion(
        approval=approval,
        artifact_sha256=prepared.record.artifact.sha256,
        current=current,
        branch=prepared.branch,
        commit=prepared.commit,
        state=prepared.state,
        merged=merged,
        says=f"Serves approval {approval:04d} in production {instead}, with the digest that staging serves. To apply "
        f"it: {then}.",
        shadow=shadow_page.sentence(shadow.document) if shadow else None,
        pull_request=pull.pull.number if pull else None,
        url=pull.pull.url if pull else None,
    )
