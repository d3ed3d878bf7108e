"""Computes GraphQL's states of a pull request: of itself, of its reviews, of its merge."""

from __future__ import annotations

from local_github.domain import branch_protection, review_requirements
from local_github.domain.branch_rules import HEADS, rules_of
from local_github.domain.in_memory_store import State
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, Repository


def state_of(issue: Issue) -> str:
    """OPEN, CLOSED or MERGED."""
    return "MERGED" if pull_of(issue).merged else issue.state.upper()


def review_decision(state: State, repository: Repository, issue: Issue) -> str | None:
    """APPROVED, CHANGES_REQUESTED or REVIEW_REQUIRED; None without reviews and without a rule."""
    pull = pull_of(issue)
    states = {review.state for review in review_requirements.latest_reviews(repository, issue).values()}
    if "CHANGES_REQUESTED" in states:
        return "CHANGES_REQUESTED"
    rules = [rule.reviews for rule in rules_of(state, repository, f"{HEADS}{pull.base_ref}") if rule.reviews]
    if any(review_requirements.missing(state, repository, issue, rule) for rule in rules):
        return "REVIEW_REQUIRED"
    return "APPROVED" if "APPROVED" in states else None


def merge_state(state: State, repository: Repository, issue: Issue) -> str:
    """CLEAN, DIRTY, DRAFT, BLOCKED or UNKNOWN."""
    pull = pull_of(issue)
    if issue.state != "open":
        return "UNKNOWN"
    if not pull.mergeable:
        return "DIRTY"
    if pull.draft:
        return "DRAFT"
    rules = rules_of(state, repository, f"{HEADS}{pull.base_ref}")
    return "BLOCKED" if branch_protection.merge_obstacle(state, repository, issue, rules) else "CLEAN"
