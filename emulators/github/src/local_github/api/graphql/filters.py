"""Applies the filter and order arguments of GraphQL's lists of issues and pull requests."""

from __future__ import annotations

from typing import Any

from local_github.api.graphql.pull_request_states import state_of
from local_github.domain.pull_requests import pull_of
from local_github.domain.records import Issue, Repository

Order = dict[str, str] | None


def filter_issues(
    repository: Repository,
    *,
    states: list[str] | None,
    labels: list[str] | None,
    filter_by: dict[str, Any],
    order_by: Order,
) -> list[Issue]:
    """Issues by state, label, author, assignee and mention; newest first unless `order_by` says otherwise."""
    found = [issue for issue in reversed(repository.issues.values()) if issue.pull is None]
    wanted = states or filter_by.get("states")
    if wanted:
        found = [issue for issue in found if issue.state.upper() in wanted]
    for name in labels or filter_by.get("labels") or []:
        found = [issue for issue in found if name.lower() in {label.lower() for label in issue.labels}]
    if filter_by.get("createdBy"):
        found = [issue for issue in found if issue.author == filter_by["createdBy"]]
    if filter_by.get("assignee"):
        found = [issue for issue in found if filter_by["assignee"] in issue.assignees]
    if filter_by.get("mentioned"):
        found = [issue for issue in found if f"@{filter_by['mentioned']}" in (issue.body or "")]
    _sort(found, order_by)
    return found


def filter_pull_requests(
    repository: Repository,
    *,
    states: list[str] | None,
    labels: list[str] | None,
    head: str | None,
    base: str | None,
    order_by: Order,
) -> list[Issue]:
    """Pull requests by state, label and branches; newest first unless `order_by` says otherwise."""
    found = repository.pulls()
    if states:
        found = [issue for issue in found if state_of(issue) in states]
    if head:
        found = [issue for issue in found if pull_of(issue).head_ref == head]
    if base:
        found = [issue for issue in found if pull_of(issue).base_ref == base]
    for name in labels or []:
        found = [issue for issue in found if name in issue.labels]
    _sort(found, order_by)
    return found


def _sort(found: list[Issue], order: Order) -> None:
    if order and order["field"] == "UPDATED_AT":
        found.sort(key=lambda issue: issue.updated, reverse=True)
    if order and order["direction"] == "ASC":
        found.reverse()
