"""Renders issues and their comments as GraphQL nodes."""

from __future__ import annotations

from typing import Any

from local_github.api.graphql import leaf_nodes
from local_github.api.graphql.connections import Node, connection, connection_field, empty_connection
from local_github.api.graphql.filters import filter_issues
from local_github.api.graphql.node_contract import NodeRenderer
from local_github.domain.records import Comment, Issue, Repository
from local_github.serializers.base import node_id


def common_fields(nodes: NodeRenderer, repository: Repository, issue: Issue) -> Node:
    """The fields that issues and pull requests have in common."""
    labels = [name for name in issue.labels if name in repository.labels]
    kind = "pull" if issue.pull else "issues"
    return {
        "databaseId": issue.id,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body or "",
        "author": nodes.actor(issue.author),
        "authorAssociation": "NONE",
        "url": nodes.call.serializer.page_url(repository, f"/{kind}/{issue.number}"),
        "createdAt": issue.created,
        "updatedAt": issue.updated,
        "closed": issue.state == "closed",
        "closedAt": issue.closed,
        "isPinned": False,
        "repository": lambda _: nodes.repository(repository),
        "reactionGroups": [],
        "comments": connection_field(issue.comments, lambda comment: comment_node(nodes, repository, issue, comment)),
        "labels": connection_field(labels, lambda name: leaf_nodes.label(nodes.call, repository, name)),
        "assignees": connection_field(issue.assignees, nodes.actor),
        "assignedActors": connection_field(issue.assignees, nodes.actor),
        **dict.fromkeys(("projectCards", "projectItems"), empty_connection),
        **dict.fromkeys(("closingIssuesReferences", "closedByPullRequestsReferences"), empty_connection),
    }


def issue_node(nodes: NodeRenderer, repository: Repository, issue: Issue) -> Node:
    """An issue that is not a pull request."""
    return common_fields(nodes, repository, issue) | {
        "__typename": "Issue",
        "id": node_id("I", issue.id),
        "state": issue.state.upper(),
        "subIssuesSummary": {"total": 0, "completed": 0, "percentCompleted": 0},
        **dict.fromkeys(("subIssues", "blockedBy", "blocking"), empty_connection),
        "stateReason": lambda _, **__: issue.reason.upper() if issue.reason else None,
    }


def issue_connection(
    nodes: NodeRenderer,
    repository: Repository,
    *,
    states: list[str] | None = None,
    labels: list[str] | None = None,
    filterBy: dict[str, Any] | None = None,
    orderBy: dict[str, str] | None = None,
    **page: Any,
) -> Node:
    """A connection of issues, by GitHub's arguments."""
    found = filter_issues(repository, states=states, labels=labels, filter_by=filterBy or {}, order_by=orderBy)
    return connection(found, lambda issue: nodes.issue(repository, issue), **page)


def comment_node(nodes: NodeRenderer, repository: Repository, issue: Issue, entry: Comment) -> Node:
    """A comment."""
    return leaf_nodes.comment(nodes.call, repository, issue, entry, author=nodes.actor(entry.author))
