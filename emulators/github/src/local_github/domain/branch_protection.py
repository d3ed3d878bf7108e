"""Branch protection: who may push to a branch, and what a merge into it requires. Messages are GitHub's.

Rules have the form of `PUT …/branches/{branch}/protection`. Administrators bypass a rule unless `enforce_admins` is
set, Apps if the rule names them; a workflow token never does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from local_github.domain.records import Issue, Repository, Status
from local_github.domain.tokens import Principal
from local_github.errors import ApiError

_PULL_REQUEST_REQUIRED = "Changes must be made through a pull request."


def protect(repository: Repository, branch: str, **rule: Any) -> None:
    """Sets the rule of a branch, as PUT …/protection does; omitted settings are off.

    >>> protect(repository, "main", required_pull_request_reviews={})  # doctest: +SKIP
    """
    repository.protections[branch] = rule


def latest_statuses(repository: Repository, sha: str) -> list[Status]:
    """The latest status of each context of a commit, newest first."""
    latest: dict[str, Status] = {}
    for status in reversed(repository.statuses):
        if status.sha == sha:
            latest.setdefault(status.context, status)
    return list(latest.values())


def required_contexts(rule: dict[str, Any]) -> list[str]:
    """The status contexts that a rule requires."""
    checks = rule.get("required_status_checks") or {}
    return list(dict.fromkeys([*checks.get("contexts", []), *(check["context"] for check in checks.get("checks", []))]))


def missing_contexts(repository: Repository, rule: dict[str, Any], sha: str) -> list[str]:
    """The required contexts without a successful status or check run on a commit."""
    sources = {
        check["context"]: f"{check['app_slug']}[bot]"
        for check in (rule.get("required_status_checks") or {}).get("checks", [])
        if "app_slug" in check
    }
    passing = _passing_statuses(repository, sha, sources)
    passing |= {
        check.name
        for check in repository.checks
        if check.sha == sha and check.conclusion in {"success", "neutral", "skipped"} and check.name not in sources
    }
    return [context for context in required_contexts(rule) if context not in passing]


def _passing_statuses(repository: Repository, sha: str, sources: Mapping[str, str]) -> set[str]:
    """The contexts whose latest status is a success; of a context with a required source, its latest one counts."""
    latest: dict[str, str] = {}
    for status in repository.statuses:
        if status.sha == sha and sources.get(status.context) in (None, status.creator):
            latest[status.context] = status.state
    return {context for context, state in latest.items() if state == "success"}


def _expected_message(wanted: list[str]) -> str:
    if len(wanted) == 1:
        return f'Required status check "{wanted[0]}" is expected.'
    return f"{len(wanted)} of {len(wanted)} required status checks are expected."


def bypasses(repository: Repository, rule: dict[str, Any], principal: Principal) -> bool:
    """Whether the caller bypasses the rule."""
    if principal.is_admin(repository.full_name):
        return not rule.get("enforce_admins")
    reviews = rule.get("required_pull_request_reviews") or {}
    allowed = (reviews.get("bypass_pull_request_allowances") or {}).get("apps") or []
    slugs = {app["slug"] if isinstance(app, dict) else app for app in allowed}
    return principal.is_bot and not principal.is_workflow and principal.login.removesuffix("[bot]") in slugs


def hook_environment(repository: Repository, principal: Principal, shas: Iterable[str]) -> dict[str, str]:
    """The environment of the update hook for this caller's push; `shas` are the commits with a status or check run."""
    closed, passing, protected = [], [], []
    for branch, rule in repository.protections.items():
        ref = f"refs/heads/{branch}"
        if not rule.get("allow_force_pushes"):
            protected.append(ref)
        if bypasses(repository, rule, principal):
            continue
        if rule.get("required_pull_request_reviews") is not None:  # {} requires a pull request but no approval
            closed.append(f"{ref} {_PULL_REQUEST_REQUIRED}")
        elif required_contexts(rule):
            closed.append(f"{ref} {_expected_message(required_contexts(rule))}")
            passing += [f"{ref} {sha}" for sha in shas if not missing_contexts(repository, rule, sha)]
    workflows = principal.is_bot and not principal.may(repository.full_name, "workflows", "write")
    return {
        "LOCAL_GITHUB_CLOSED": "\n".join(closed),
        "LOCAL_GITHUB_PASSING": "\n".join(passing),
        "LOCAL_GITHUB_PROTECTED": "\n".join(protected),
        "LOCAL_GITHUB_WORKFLOWS": "refuse" if workflows else "",
        "LOCAL_GITHUB_MAIN": f"refs/heads/{repository.default_branch}",
    }


def check_direct(repository: Repository, branch: str, principal: Principal, sha: str, *, forced: bool = False) -> None:
    """Raises the API error for a direct change of a branch that a push would be refused for."""
    rule = repository.protections.get(branch)
    if rule is None:
        return
    if forced and not rule.get("allow_force_pushes"):
        raise ApiError(422, "Cannot force-push to this protected branch")
    if bypasses(repository, rule, principal):
        return
    if rule.get("required_pull_request_reviews") is not None:
        raise ApiError(409, f"Repository rule violations found\n\n{_PULL_REQUEST_REQUIRED}\n\n")
    wanted = missing_contexts(repository, rule, sha)
    if wanted:
        raise ApiError(409, f"Repository rule violations found\n\n{_expected_message(wanted)}\n\n")


def check_merge(repository: Repository, issue: Issue, principal: Principal) -> None:
    """405 if the base branch's rule does not allow the merge yet."""
    pull = issue.pull
    rule = repository.protections.get(pull.base_ref) if pull else None
    if pull is None or rule is None or bypasses(repository, rule, principal):
        return
    wanted = missing_contexts(repository, rule, pull.head_sha)
    if wanted:
        raise ApiError(405, _expected_message(wanted))
    reviews = rule.get("required_pull_request_reviews") or {}
    needed = int(reviews.get("required_approving_review_count") or 0)
    reviews_by_author = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}
    approvals = sum(state == "APPROVED" for author, state in reviews_by_author.items() if author != issue.author)
    if "CHANGES_REQUESTED" in reviews_by_author.values():
        raise ApiError(405, "Changes requested by a reviewer.")
    if approvals < needed:
        raise ApiError(405, f"At least {needed} approving review is required by reviewers with write access.")
