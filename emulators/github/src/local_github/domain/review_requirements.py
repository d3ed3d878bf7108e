"""Decides whether the reviews of a pull request satisfy a rule: count, code owners, last push. Adds no review.

https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-protected-branches/about-protected-branches
"""

from __future__ import annotations

from local_github.domain import code_owners
from local_github.domain.branch_rules import ReviewRule
from local_github.domain.in_memory_store import State
from local_github.domain.records import Issue, Pull, Repository, Review

_WRITERS = ("write", "maintain", "admin")


def latest_reviews(repository: Repository, issue: Issue) -> dict[str, Review]:
    """The latest review that decides, by author in lower case: only of users with write access, not of the author."""
    pull = issue.pull
    found: dict[str, Review] = {}
    for review in pull.reviews if pull else ():
        counts = review.state in {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
        if counts and repository.permission_of(review.author) in _WRITERS and review.author != issue.author:
            found[review.author.lower()] = review
    return found


def approvers(repository: Repository, issue: Issue) -> set[str]:
    """The users whose approval counts, in lower case."""
    return {login for login, review in latest_reviews(repository, issue).items() if review.state == "APPROVED"}


def missing(state: State, repository: Repository, issue: Issue, rule: ReviewRule) -> str | None:
    """What a rule still asks for, in GitHub's words; None if nothing."""
    pull = issue.pull
    if pull is None:
        return None
    latest = latest_reviews(repository, issue)
    approved = approvers(repository, issue)
    if any(review.state == "CHANGES_REQUESTED" for review in latest.values()):
        return "Changes requested by a reviewer."
    if len(approved) < rule.count:
        plural = "" if rule.count == 1 else "s"
        verb = "is" if rule.count == 1 else "are"
        return f"At least {rule.count} approving review{plural} {verb} required by reviewers with write access."
    if rule.code_owners and (paths := unowned_paths(state, repository, pull, approved)):
        return f"Waiting on code owner review from {paths[0][1]}."
    if rule.last_push and not _last_push_approved(pull, latest):
        return "The most recent push must be approved by someone other than the person who pushed it."
    return None


def unowned_paths(state: State, repository: Repository, pull: Pull, approved: set[str]) -> list[tuple[str, str]]:
    """The changed files that none of their owners has approved, each with its owners as written."""
    rules = code_owners.read(repository, pull.base_sha)
    base = repository.git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha
    found = []
    for change in repository.git.changes(base, pull.head_sha):
        for path in filter(None, (change.path, change.previous)):
            owners = code_owners.owners_of(rules, path)
            if owners and not approved & code_owners.logins(state, owners):
                found.append((path, " ".join(owners)))
    return found


def _last_push_approved(pull: Pull, latest: dict[str, Review]) -> bool:
    return any(
        review.state == "APPROVED" and review.sha == pull.head_sha and login != (pull.last_pusher or "").lower()
        for login, review in latest.items()
    )


def dismiss_stale(pull: Pull) -> None:
    """Dismisses the approvals of a pull request whose changes were changed by a push."""
    for review in pull.reviews:
        if review.state == "APPROVED":
            review.state = "DISMISSED"
