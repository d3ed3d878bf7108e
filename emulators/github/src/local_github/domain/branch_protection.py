"""Branch protection: who may push to a branch, and what a merge into it needs, in GitHub's words.

Rules are kept in the form that `PUT …/branches/{branch}/protection` takes. Administrators are spared where
`enforce_admins` is off, Apps where the rule names them; a workflow's token never is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from local_github.domain.state import Issue, Repository, Status
from local_github.domain.tokens import Principal
from local_github.errors import ApiError

_BY_PULL_REQUEST = "Changes must be made through a pull request."


def latest(repository: Repository, sha: str) -> list[Status]:
    """The last status of each context of a commit, newest first."""
    found: dict[str, Status] = {}
    for status in reversed(repository.statuses):
        if status.sha == sha:
            found.setdefault(status.context, status)
    return list(found.values())


def contexts(rule: dict[str, Any]) -> list[str]:
    """The statuses that a rule requires."""
    checks = rule.get("required_status_checks") or {}
    return list(dict.fromkeys([*checks.get("contexts", []), *(check["context"] for check in checks.get("checks", []))]))


def missing(repository: Repository, rule: dict[str, Any], sha: str) -> list[str]:
    """The required statuses that are not a success on this commit; a check run of that name counts too."""
    green = {status.context for status in latest(repository, sha) if status.state == "success"}
    green |= {
        check.name
        for check in repository.checks
        if check.sha == sha and check.conclusion in {"success", "neutral", "skipped"}
    }
    return [context for context in contexts(rule) if context not in green]


def _expected(wanted: list[str]) -> str:
    if len(wanted) == 1:
        return f'Required status check "{wanted[0]}" is expected.'
    return f"{len(wanted)} of {len(wanted)} required status checks are expected."


def spared(repository: Repository, rule: dict[str, Any], principal: Principal) -> bool:
    """Whether the rule lets this caller past its demands."""
    if principal.is_admin(repository.full_name):
        return not rule.get("enforce_admins")
    reviews = rule.get("required_pull_request_reviews") or {}
    allowed = (reviews.get("bypass_pull_request_allowances") or {}).get("apps") or []
    slugs = {app["slug"] if isinstance(app, dict) else app for app in allowed}
    return principal.is_bot and not principal.is_workflow and principal.login.removesuffix("[bot]") in slugs


def hook_environment(repository: Repository, principal: Principal, shas: Iterable[str]) -> dict[str, str]:
    """What the update hook needs to know of this caller's push; `shas` are the commits that have any status."""
    closed, green, protected = [], [], []
    for branch, rule in repository.protections.items():
        ref = f"refs/heads/{branch}"
        if not rule.get("allow_force_pushes"):
            protected.append(ref)
        if spared(repository, rule, principal):
            continue
        if rule.get("required_pull_request_reviews") is not None:  # {} asks for a pull request and no approval
            closed.append(f"{ref} {_BY_PULL_REQUEST}")
        elif contexts(rule):
            closed.append(f"{ref} {_expected(contexts(rule))}")
            green += [f"{ref} {sha}" for sha in shas if not missing(repository, rule, sha)]
    workflows = principal.is_bot and not principal.may(repository.full_name, "workflows", "write")
    return {
        "LOCAL_GITHUB_CLOSED": "\n".join(closed),
        "LOCAL_GITHUB_GREEN": "\n".join(green),
        "LOCAL_GITHUB_PROTECTED": "\n".join(protected),
        "LOCAL_GITHUB_WORKFLOWS": "refuse" if workflows else "",
        "LOCAL_GITHUB_MAIN": f"refs/heads/{repository.default_branch}",
    }


def check_direct(repository: Repository, branch: str, principal: Principal, sha: str, *, forced: bool = False) -> None:
    """Refuses a change of a branch through the API that a push would be refused."""
    rule = repository.protections.get(branch)
    if rule is None:
        return
    if forced and not rule.get("allow_force_pushes"):
        raise ApiError(422, "Cannot force-push to this protected branch")
    if spared(repository, rule, principal):
        return
    if rule.get("required_pull_request_reviews") is not None:
        raise ApiError(409, f"Repository rule violations found\n\n{_BY_PULL_REQUEST}\n\n")
    wanted = missing(repository, rule, sha)
    if wanted:
        raise ApiError(409, f"Repository rule violations found\n\n{_expected(wanted)}\n\n")


def check_merge(repository: Repository, issue: Issue, principal: Principal) -> None:
    """Refuses a merge that the base branch's rule does not allow yet: 405, as GitHub."""
    pull = issue.pull
    rule = repository.protections.get(pull.base_ref) if pull else None
    if pull is None or rule is None or spared(repository, rule, principal):
        return
    wanted = missing(repository, rule, pull.head_sha)
    if wanted:
        raise ApiError(405, _expected(wanted))
    reviews = rule.get("required_pull_request_reviews") or {}
    needed = int(reviews.get("required_approving_review_count") or 0)
    verdicts = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}
    approvals = sum(state == "APPROVED" for author, state in verdicts.items() if author != issue.author)
    if "CHANGES_REQUESTED" in verdicts.values():
        raise ApiError(405, "Changes requested by a reviewer.")
    if approvals < needed:
        raise ApiError(405, f"At least {needed} approving review is required by reviewers with write access.")
