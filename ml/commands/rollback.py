"""`fraudops rollback`: prepares the revert that points back at an earlier approval. Deploys nothing.

It writes only to Git and GitHub, moves only the pointer, and returns only to a model that has served. After a failed
deployment it returns to what was deployed last: to that model or, if the model is the same, to its settings. Staging
has a pointer and deployments of its own: with `staging` it moves and reads these.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml import config
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
    staging: bool = False,
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
        staging: move staging's pointer in place of production's, on the branch rollback/staging-NNNN.
        approver: the author of the merge; if None, Git's configured user.

    Raises:
        Refused: nothing served before, `to` never did, or there is no staging.
        GitError: the branch cannot be created, pushed or merged.
        GitHubError: the pull request cannot be opened; run it again.
    """
    if merge and propose:
        raise Refused("a rollback is either merged here or proposed as a pull request; choose one")
    repository = Repository.find(root)
    if merge and repository.branch() != main:
        raise GitError(f"merging a rollback needs {main} checked out (it is {repository.branch() or 'a commit'})")
    if propose:
        return _propose(Remote(repository), main, to, failed, staging=staging)
    if repository.resolve(main) is None:
        raise GitError(
            f"{repository.root}: has no branch {main}, whose commits say which models served; fetch it, e.g. git fetch "
            f"origin {main}:{main}"
        )
    source = _Source(repository, main, staging)
    target, settings = source.choose(to, failed)
    prepared = rollbacks.prepare(repository, target, main=main, settings=settings, file=source.file)
    merged = None
    if merge:
        message = commit_messages.merge_rollback(prepared.target, prepared.branch, staging=staging)
        merged = repository.merge(prepared.branch, message, author=approver)
    run = f"run `fraudops deploy{' --staging' if staging else ''}`"
    then = run if merged else f"merge {prepared.branch} into {main}, then {run}"
    return _rollback(prepared, merged=merged, then=then)


def _propose(remote: Remote, main: str, to: int | None, failed: bool, *, staging: bool) -> Rollback:
    github, base = GitHub.from_environment(), f"{remote.name}/{main}"
    if remote.fetch(main) is None:
        raise GitError(f"{remote.name} has no branch {main}, so there is nothing to roll back")
    source = _Source(remote, base, staging)
    if failed:
        source.refuse_overtaken(main)
    target, settings = source.choose(to, failed)
    branch = rollbacks.branch_name(target, source.file)
    seen = remote.update_local_branch(branch)
    prepared = rollbacks.prepare(remote, target, main=base, settings=settings, file=source.file)
    tip = remote.commit_of(f"refs/heads/{branch}")
    opened = bot_pull_requests.pull_request(
        github,
        remote,
        branch=branch,
        commit=tip,
        seen=seen,
        base=main,
        title=commit_messages.rollback_title(target, failed=prepared.current if failed else None, staging=staging),
        body=_body(prepared, failed=failed, staging=staging),
        label=labels.ROLLBACK,
    )
    result = _rollback(prepared, merged=None, then=f"merge #{opened.pull.number}", pull=opened)
    runner_commands.output(pull_request=str(opened.pull.number), url=opened.pull.url)
    runner_commands.summary(step_summary.rollback(result.says, opened.pull.number, opened.pull.url))
    return result


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


def _body(prepared: rollbacks.RollbackBranch, *, failed: bool, staging: bool) -> str:
    target, current = commit_messages.number(prepared.target), commit_messages.number(prepared.current)
    workflow, lines = "deploy-staging.yml" if staging else "deploy.yml", []
    if failed:
        lines.append(
            f"{bot_pull_requests.AFTER_FAILURE}\n**The deployment of approval {current} failed**, "
            "so the previous deployment still serves, but main names this one. Merging this moves main back to it. "
            f"If the cause is gone, run {code(workflow)} again instead, which closes this pull request."
        )
    what = f"Merging this serves approval {target} again in place of {current}"
    if prepared.target == prepared.current:
        what = f"Merging this serves approval {target} with the settings that it was deployed with last"
    lines.append(
        f"{what}, as soon as {code(workflow)} has verified and deployed it. Only the serving file changes: the "
        "records of both and all commits stay."
    )
    rows = [
        ("now", f"approval {current}"),
        ("then", f"approval {target}"),
        *([("reverts", code(prepared.reverted))] if prepared.reverted else []),
        ("commit", code(prepared.commit)),
    ]
    lines.append(table(("", ""), rows))
    if not staging:
        lines.append(text("Open approvals that were compared with another model are then closed."))
    return "\n\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Source:
    """What a rollback reads: a serving file at a revision of `repository`, and the deployments of its stage."""

    repository: Repository
    revision: str
    staging: bool

    @property
    def file(self) -> Path:
        """The serving file: production's or staging's."""
        return config.STAGING if self.staging else config.SERVING

    def refuse_overtaken(self, main: str) -> None:
        """Refuses if main's serving file has changed: the failed deployment was of the checked-out commit."""
        if self._text("HEAD") != self._text(self.revision):
            now = serving_pointer.read(self.repository, self.revision, self.file).approval
            raise Refused(
                f"{main} has changed since the failed deployment and now names "
                f"{f'approval {now:04d}' if now is not None else 'no approval'}, which has a deployment of its own; "
                "nothing was proposed"
            )

    def choose(self, to: int | None, failed: bool) -> tuple[int, str | None]:
        """The approval to return to, and the serving file to restore if the approval is the same."""
        if self.staging and not serving_pointer.has_staging(self.repository, self.revision):
            raise Refused(f"{config.STAGING} is not on {self.revision}: there is no staging to roll back")
        deployed = self._deployed()
        if to is not None or not failed or deployed is None:
            return self._target(to, deployed), None
        if not deployed:
            raise Refused("no deployment has ever succeeded, so a rollback is not possible; remove the cause instead")
        last = deployed[-1]
        if last.approval != serving_pointer.read(self.repository, self.revision, self.file).approval:
            return self._target(last.approval, deployed), None
        before = self._text(last.commit) if self.repository.resolve(last.commit) else None
        if before is None or before == self._text(self.revision):
            deploy = "fraudops deploy --staging" if self.staging else "fraudops deploy"
            raise Refused(
                f"{self.revision} names what was deployed last (approval {last.approval:04d}), so a rollback would "
                f"change nothing; remove the cause, then run `{deploy}` again"
            )
        return last.approval, before

    def _target(self, to: int | None, deployed: list[deployment_records.Deployment] | None) -> int:
        history = serving_pointer.moves(self.repository, self.revision, self.file)
        pointed = {move.after for move in history} - {None}
        served = {past.approval for past in deployed} if deployed is not None else None
        if to is not None:
            if to not in pointed or (served is not None and to not in served):
                known = sorted(
                    number for number in pointed if number is not None and (served is None or number in served)
                )
                names = ", ".join(f"{number:04d}" for number in known) or "none"
                raise Refused(
                    f"approval {to:04d} has never served, so a rollback cannot serve it (those that have: {names})"
                )
            return to
        former = [number for number in serving_pointer.rollback_targets(history) if served is None or number in served]
        if not former:
            raise Refused(
                f"no model served on {self.revision} before the one that serves now, so a rollback is not possible"
            )
        return former[0]

    def _deployed(self) -> list[deployment_records.Deployment] | None:
        """The deployments that succeeded, oldest first; None if they cannot be read, as in an outage of AWS.

        Then the pointer's history in Git is used, because rollbacks must be possible during an outage.
        """
        try:
            where = platform_stack.read(platform_stack.staging_stack_name() if self.staging else None)
            return [past for past in deployment_records.history(where.bucket) if past.status == "succeeded"]
        except CloudError as error:
            note(f"deploy/history/ could not be read ({error}); using only the pointer's history in Git")
            return None

    def _text(self, revision: str) -> str:
        return serving_pointer.read_text(self.repository, revision, self.file)
