"""Branch protection: who may push to a branch, and what a merge into it requires. Messages are GitHub's.

Applies the rules of `branch_rules`. Administrators bypass a protection rule unless `enforce_admins` is set, Apps if
the rule names them, and the bypass actors of a ruleset the ruleset; a workflow token never bypasses anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from local_github.domain import review_requirements
from local_github.domain.branch_rules import HEADS, QUEUE_PREFIX, BranchRule, rules_of
from local_github.domain.in_memory_store import State
from local_github.domain.records import CheckRun, Issue, Repository, Status
from local_github.domain.tokens import Principal
from local_github.errors import ApiError

_PULL_REQUEST_REQUIRED = "Changes must be made through a pull request."
_QUEUE_REQUIRED = "Changes must be made through the merge queue"
_PASSING = {"success", "neutral", "skipped"}


def protect(repository: Repository, branch: str, **rule: Any) -> None:
    """Sets the rule of a branch, as PUT …/protection does; omitted settings are off.

    >>> protect(repository, "main", required_pull_request_reviews={})  # doctest: +SKIP
    """
    repository.protections[branch] = rule


def is_protected(state: State, repository: Repository, ref: str) -> bool:
    """Whether a protection rule or an active ruleset applies to a full ref."""
    return bool(rules_of(state, repository, ref))


def latest_statuses(repository: Repository, sha: str) -> list[Status]:
    """The latest status of each context of a commit, newest first."""
    latest: dict[str, Status] = {}
    for status in reversed(repository.statuses):
        if status.sha == sha:
            latest.setdefault(status.context, status)
    return list(latest.values())


def missing_contexts(state: State, repository: Repository, rules: Iterable[BranchRule], sha: str) -> list[str]:
    """The required contexts without a successful status or check run of the expected App on a commit."""
    missing = []
    for rule in rules:
        for context, app in rule.checks:
            if not result(state, repository, sha, context, app):
                missing.append(context)
    return list(dict.fromkeys(missing))


def result(state: State, repository: Repository, sha: str, context: str, app: int | None) -> bool | None:
    """Whether the status or check run of a context passed or failed on a commit; None while there is no result."""
    found = _latest(state, repository, sha, context, app)
    if isinstance(found, Status):
        return None if found.state == "pending" else found.state == "success"
    return None if found is None or found.conclusion is None else found.conclusion in _PASSING


def _latest(state: State, repository: Repository, sha: str, context: str, app: int | None) -> Status | CheckRun | None:
    """The latest status or check run of a context; statuses of other Apps and of users do not count for an App."""
    for status in reversed(repository.statuses):
        if status.sha == sha and status.context == context and app in (None, state.app_id(status.creator)):
            return status
    for check in reversed(repository.checks):
        if check.sha == sha and check.name == context and app in (None, state.app_id(check.app)):
            return check
    return None


def _expected_message(wanted: Sequence[str]) -> str:
    if len(wanted) == 1:
        return f'Required status check "{wanted[0]}" is expected.'
    return f"{len(wanted)} of {len(wanted)} required status checks are expected."


def obeyed_rules(
    state: State, repository: Repository, branch: str, principal: Principal, *, merging: bool = False
) -> list[BranchRule]:
    """The rules of a branch that the caller does not bypass."""
    rules = rules_of(state, repository, f"{HEADS}{branch}")
    return [rule for rule in rules if not rule.bypassed_by(repository, principal, merging=merging)]


def hook_environment(state: State, repository: Repository, principal: Principal, shas: Iterable[str]) -> dict[str, str]:
    """The environment of the update hook for this caller's push; `shas` are the commits with a status or check run."""
    closed, passing, forced, deleted = [], [], [], []
    known = list(shas)
    refs = [name for name in repository.git.refs() if name.startswith(HEADS)]
    for ref in dict.fromkeys([*refs, *(f"{HEADS}{branch}" for branch in repository.protections)]):
        rules = rules_of(state, repository, ref)
        # A protection rule forbids force pushes and deletions to administrators as well; a ruleset only to others.
        strict = [r for r in rules if r.code == "GH006" or not r.bypassed_by(repository, principal)]
        forced += [f"{ref} {rule.code}" for rule in strict if not rule.allow_force_pushes]
        deleted += [f"{ref} {rule.code}" for rule in strict if not rule.allow_deletions]
        obeyed = [rule for rule in rules if not rule.bypassed_by(repository, principal)]
        code, message = _refusal(obeyed)
        if message:
            closed.append(f"{ref} {code} {message}")
        if message and message not in (_PULL_REQUEST_REQUIRED, _QUEUE_REQUIRED):
            passing += [f"{ref} {sha}" for sha in known if not missing_contexts(state, repository, obeyed, sha)]
    workflows = principal.is_bot and not principal.may(repository.full_name, "workflows", "write")
    return {
        "LOCAL_GITHUB_CLOSED": "\n".join(closed),
        "LOCAL_GITHUB_PASSING": "\n".join(passing),
        "LOCAL_GITHUB_NO_FORCE": "\n".join(forced),
        "LOCAL_GITHUB_NO_DELETION": "\n".join(deleted),
        "LOCAL_GITHUB_WORKFLOWS": "refuse" if workflows else "",
        "LOCAL_GITHUB_MAIN": f"refs/heads/{repository.default_branch}",
    }


def _refusal(rules: Iterable[BranchRule]) -> tuple[str, str]:
    """GitHub's code and message for a push that the rules refuse unless its checks have passed; empty if none does."""
    for rule in rules:
        if rule.queue is not None:
            return rule.code, _QUEUE_REQUIRED
    for rule in rules:
        if rule.reviews is not None:
            return rule.code, _PULL_REQUEST_REQUIRED
    for rule in rules:
        if rule.checks:
            return rule.code, _expected_message(rule.contexts)
    return "", ""


def check_direct(
    state: State, repository: Repository, branch: str, principal: Principal, sha: str, *, forced: bool = False
) -> None:
    """Raises the API error for a direct change of a branch that a push would be refused for."""
    _refuse_queue_branch(f"{HEADS}{branch}")
    rules = rules_of(state, repository, f"{HEADS}{branch}")
    obeyed = [rule for rule in rules if not rule.bypassed_by(repository, principal)]
    strict = [rule for rule in rules if rule.code == "GH006" or rule in obeyed]
    if forced and any(not rule.allow_force_pushes for rule in strict):
        raise ApiError(422, "Cannot force-push to this protected branch")
    if any(rule.queue is not None for rule in obeyed):
        raise ApiError(409, f"Repository rule violations found\n\n{_QUEUE_REQUIRED}\n\n")
    if any(rule.reviews is not None for rule in obeyed):
        raise ApiError(409, f"Repository rule violations found\n\n{_PULL_REQUEST_REQUIRED}\n\n")
    wanted = missing_contexts(state, repository, obeyed, sha)
    if wanted:
        raise ApiError(409, f"Repository rule violations found\n\n{_expected_message(wanted)}\n\n")


def _refuse_queue_branch(ref: str) -> None:
    """422 for a branch that a merge queue built."""
    if ref.startswith(f"{HEADS}{QUEUE_PREFIX}"):
        raise ApiError(422, "Repository rule violations found\n\nOnly the merge queue may change this branch.\n\n")


def check_deletion(state: State, repository: Repository, ref: str, principal: Principal) -> None:
    """422 for the deletion of a branch that a rule forbids."""
    _refuse_queue_branch(ref)
    for rule in rules_of(state, repository, ref):
        if not rule.allow_deletions and (rule.code == "GH006" or not rule.bypassed_by(repository, principal)):
            raise ApiError(422, "Cannot delete this protected branch")


def merge_obstacle(state: State, repository: Repository, issue: Issue, rules: Sequence[BranchRule]) -> str | None:
    """Why rules do not allow to merge a pull request yet, in GitHub's words; None if they do."""
    pull = issue.pull
    if pull is None:
        return None
    wanted = missing_contexts(state, repository, rules, pull.head_sha)
    if wanted:
        return _expected_message(wanted)
    # A merge queue builds on the tip of the base, so the branch itself need not be up to date.
    if any(rule.strict and rule.checks for rule in rules) and not any(rule.queue for rule in rules):
        base = repository.git.branch(pull.base_ref) or pull.base_sha
        if not repository.git.is_ancestor(base, pull.head_sha):
            return "Head branch is not up to date with the base branch."
    for rule in rules:
        obstacle = review_requirements.missing(state, repository, issue, rule.reviews) if rule.reviews else None
        if obstacle:
            return obstacle
    return None


def check_merge(state: State, repository: Repository, issue: Issue, principal: Principal, method: str) -> None:
    """405 if the rules of the base branch do not allow the merge yet, or not by this method."""
    if issue.pull is None:
        return
    rules = obeyed_rules(state, repository, issue.pull.base_ref, principal, merging=True)
    if any(rule.queue is not None for rule in rules):
        raise ApiError(405, f"Repository rule violations found\n\n{_QUEUE_REQUIRED}\n\n")
    for reviews in (rule.reviews for rule in rules if rule.reviews is not None):
        if method not in reviews.merge_methods:
            allowed = ", ".join(sorted(reviews.merge_methods))
            raise ApiError(
                405, f"Repository rule violations found\n\nThe merge method must be {allowed} (got {method}).\n\n"
            )
    obstacle = merge_obstacle(state, repository, issue, rules)
    if obstacle:
        raise ApiError(405, obstacle)
