"""`fraudops rollback`: prepares the revert that points back at an earlier approval. Deploys nothing.

It writes only to Git and GitHub, moves only the pointer, and returns only to a model that has served. After a failed
deployment it returns to what was deployed last: to that model or, if the model is the same, to its settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.aws import deployment_records, platform_stack
from ml.console import note
from ml.errors import CloudError, GitError, Refused
from ml.gitops import commit_messages, labels, rollbacks, serving_pointer
from ml.gitops.github_client import GitHub
from ml.gitops.markdown_escaping import code, table, text
from ml.gitops.remote import Remote
from ml.gitops.repository import Identity, Repository
from ml.records import bot_pull_requests
from ml.release import step_summary
from ml.workflow import runner_commands


@dataclass(frozen=True, kw_only=True)
class Rollback:
    """A prepared rollback. `reverted` is the pointer commit that it reverts, if it returns to the previous approval.

    `pull_request` and `url` are set if a pull request was requested.
    """

    target: int
    current: int
    branch: str
    commit: str
    reverted: str | None
    state: Literal["created", "kept", "rebuilt"]
    merged: str | None
    says: str
    pull_request: int | None = None
    url: str | None = None


def rollback(
    root: Path,
    *,
    to: int | None = None,
    merge: bool = False,
    propose: bool = False,
    failed: bool = False,
    approver: Identity | None = None,
    main: str = "main",
) -> Rollback:
    """Creates the branch rollback/NNNN, on which the pointer names a model that served before.

    Args:
        to: the approval to return to; if None, the one that served before this one. A second rollback goes further
            back; to go forward again, name the approval.
        merge: also merge the branch into `main`, which must be checked out.
        propose: push the branch and open or update its pull request.
        failed: the deployment of the checked-out commit has failed: return to what was deployed before; with
            `propose`, only if the remote's `main` still points at the same approval.
        approver: the author of the merge; if None, Git's configured user.

    Raises:
        Refused: nothing served before, or `to` never did.
        GitError: the branch cannot be created, pushed or merged.
        GitHubError: the pull request cannot be opened; run it again.
    """
    if merge and propose:
        raise Refused("a rollback is either merged here or proposed as a pull request; choose one")
    repository = Repository.find(root)
    if merge and repository.branch() != main:
        raise GitError(f"merging a rollback needs {main} checked out (it is {repository.branch() or 'a commit'})")
    if propose:
        return _propose(Remote(repository), main, to, failed)
    if repository.resolve(main) is None:
        raise GitError(
            f"{repository.root}: has no branch {main}, whose commits say which models served; fetch it, e.g. git fetch "
            f"origin {main}:{main}"
        )
    prepared = _prepare(repository, main, to, failed)
    merged = None
    if merge:
        message = commit_messages.merge_rollback(prepared.target, prepared.branch)
        merged = repository.merge(prepared.branch, message, author=approver)
    then = "run `fraudops deploy`" if merged else f"merge {prepared.branch} into {main}, then run `fraudops deploy`"
    return _rollback(prepared, merged=merged, then=then)


def _propose(remote: Remote, main: str, to: int | None, failed: bool) -> Rollback:
    github, base = GitHub.from_environment(), f"{remote.name}/{main}"
    if remote.fetch(main) is None:
        raise GitError(f"{remote.name} has no branch {main}, so there is nothing to roll back")
    if failed:
        _refuse_overtaken(remote, base, main)
    target, settings = _choose(remote, base, to, failed)
    branch = rollbacks.branch_name(target)
    seen = remote.update_local_branch(branch)
    prepared = rollbacks.prepare(remote, target, main=base, settings=settings)
    tip = remote.commit_of(f"refs/heads/{branch}")
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=branch,
        commit=tip,
        seen=seen,
        base=main,
        title=commit_messages.rollback_title(target, failed=prepared.current if failed else None),
        body=_body(prepared, failed),
        label=labels.ROLLBACK,
    )
    result = _rollback(prepared, merged=None, then=f"merge #{opened.pull.number}", pull=opened)
    runner_commands.output(pull_request=str(opened.pull.number), url=opened.pull.url)
    runner_commands.summary(step_summary.rollback(result.says, opened.pull.number, opened.pull.url))
    return result


def _refuse_overtaken(repository: Repository, base: str, main: str) -> None:
    """Refuses if main's serving file has changed: the failed deployment was of the checked-out commit."""
    if serving_pointer.read_text(repository, "HEAD") != serving_pointer.read_text(repository, base):
        now = serving_pointer.read(repository, base).approval
        raise Refused(
            f"{main} has changed since the failed deployment and now names "
            f"{f'approval {now:04d}' if now is not None else 'no approval'}, which has a deployment of its own; "
            "nothing was proposed"
        )


def _prepare(repository: Repository, main: str, to: int | None, failed: bool) -> rollbacks.RollbackBranch:
    target, settings = _choose(repository, main, to, failed)
    return rollbacks.prepare(repository, target, main=main, settings=settings)


def _rollback(
    prepared: rollbacks.RollbackBranch, *, merged: str | None, then: str, pull: bot_pull_requests.Opened | None = None
) -> Rollback:
    target, current = prepared.target, prepared.current
    how = f"by reverting {prepared.reverted[:12]}" if prepared.reverted else "by moving the pointer"
    what = f"Serves approval {target:04d} again in place of {current:04d}, {how}."
    if target == current:
        what = f"Serves approval {target:04d} with the settings that it was deployed with last."
    return Rollback(
        target=target,
        current=current,
        branch=prepared.branch,
        commit=prepared.commit,
        reverted=prepared.reverted,
        state=prepared.state,
        merged=merged,
        says=f"{what} To apply it: {then}.",
        pull_request=pull.pull.number if pull else None,
        url=pull.pull.url if pull else None,
    )


def _body(prepared: rollbacks.RollbackBranch, failed: bool) -> str:
    target, current = commit_messages.number(prepared.target), commit_messages.number(prepared.current)
    lines = []
    if failed:
        lines.append(
            f"{bot_pull_requests.AFTER_FAILURE}\n**The deployment of approval {current} failed**, "
            "so the previous deployment still serves, but main names this one. Merging this moves main back to it. "
            f"If the cause is gone, run {code('deploy.yml')} again instead, which closes this pull request."
        )
    what = f"Merging this serves approval {target} again in place of {current}"
    if prepared.target == prepared.current:
        what = f"Merging this serves approval {target} with the settings that it was deployed with last"
    lines.append(
        f"{what}, as soon as {code('deploy.yml')} has verified and deployed it. Only the serving file changes: the "
        "records of both and all commits stay."
    )
    rows = [
        ("now", f"approval {current}"),
        ("then", f"approval {target}"),
        *([("reverts", code(prepared.reverted))] if prepared.reverted else []),
        ("commit", code(prepared.commit)),
    ]
    lines += [table(("", ""), rows), text("Open approvals that were compared with another model are then closed.")]
    return "\n\n".join(lines) + "\n"


def _choose(repository: Repository, main: str, to: int | None, failed: bool) -> tuple[int, str | None]:
    """The approval to return to, and the serving file to restore if the approval is the same."""
    if to is not None or not failed:
        return _target(repository, main, to), None
    current, deployed = serving_pointer.read(repository, main).approval, _deployed()
    if deployed is None:
        return _target(repository, main, None), None
    if not deployed:
        raise Refused("no deployment has ever succeeded, so a rollback is not possible; remove the cause instead")
    last = deployed[-1]
    if last.approval != current:
        return _target(repository, main, last.approval), None
    before = serving_pointer.read_text(repository, last.commit) if repository.resolve(last.commit) else None
    if before is None or before == serving_pointer.read_text(repository, main):
        raise Refused(
            f"{main} names what was deployed last (approval {last.approval:04d}), so a rollback would change "
            "nothing; remove the cause, then run `fraudops deploy` again"
        )
    return last.approval, before


def _target(repository: Repository, main: str, to: int | None) -> int:
    history = serving_pointer.moves(repository, main)
    pointed = {move.after for move in history} - {None}
    served = _served()
    if to is not None:
        if to not in pointed or (served is not None and to not in served):
            known = sorted(number for number in pointed if number is not None and (served is None or number in served))
            names = ", ".join(f"{number:04d}" for number in known) or "none"
            raise Refused(
                f"approval {to:04d} has never served, so a rollback cannot serve it (those that have: {names})"
            )
        return to
    former = [number for number in serving_pointer.rollback_targets(history) if served is None or number in served]
    if not former:
        raise Refused(f"no model served on {main} before the one that serves now, so a rollback is not possible")
    return former[0]


def _served() -> set[int] | None:
    """The approvals whose deployment has succeeded; None if they cannot be read."""
    deployed = _deployed()
    return {past.approval for past in deployed} if deployed is not None else None


def _deployed() -> list[deployment_records.Deployment] | None:
    """The deployments that succeeded, oldest first; None if they cannot be read, as in an outage of AWS.

    Then the pointer's history in Git is used, because rollbacks must be possible during an outage.
    """
    try:
        return [past for past in deployment_records.history(platform_stack.read().bucket) if past.status == "succeeded"]
    except CloudError as error:
        note(f"deploy/history/ could not be read ({error}); using only the pointer's history in Git")
        return None
