"""Computes GraphQL's states of a pull request: of itself, of its reviews, of its merge."""

from __future__ import annotations

from local_github.domain import branch_protection
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, Repository


def state_of(issue: Issue) -> str:
    """OPEN, CLOSED or MERGED."""
    return "MERGED" if pull_of(issue).merged else issue.state.upper()


def review_decision(repository: Repository, issue: Issue) -> str | None:
    """APPROVED, CHANGES_REQUESTED or REVIEW_REQUIRED; None without reviews and without a rule."""
    pull = pull_of(issue)
    states = {review.author: review.state for review in pull.reviews if review.state != "COMMENTED"}.values()
    if "CHANGES_REQUESTED" in states:
        return "CHANGES_REQUESTED"
    if "APPROVED" in states:
        return "APPROVED"
    rule = repository.protections.get(pull.base_ref) or {}
    needed = (rule.get("required_pull_request_reviews") or {}).get("required_approving_review_count")
    return "REVIEW_REQUIRED" if needed else None


def merge_state(repository: Repository, issue: Issue) -> str:
    """CLEAN, DIRTY, DRAFT, BLOCKED or UNKNOWN."""
    pull = pull_of(issue)
    if issue.state != "open":
        return "UNKNOWN"
    if not pull.mergeable:
        return "DIRTY"
    rule = repository.protections.get(pull.base_ref)
    if pull.draft:
        return "DRAFT"
    if rule and (
        branch_protection.missing_contexts(repository, rule, pull.head_sha)
        or review_decision(repository, issue) == "REVIEW_REQUIRED"
    ):
        return "BLOCKED"
    return "CLEAN"
