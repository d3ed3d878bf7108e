"""Renders GraphQL nodes without references: labels, comments, reviews, blobs, changed files, protection rules."""

from __future__ import annotations

from typing import Any

from local_github.api.graphql.connections import Node
from local_github.api.router import Call
from local_github.domain.records import Comment, Issue, Repository, Review
from local_github.git.output_parser import Change
from local_github.serializers import issues as serialize_issues
from local_github.serializers.base import node_id

_CHANGE_TYPES = {"removed": "DELETED"}


def branch_protection_rule(rule: dict[str, Any]) -> Node:
    """A branch protection rule."""
    reviews = rule.get("required_pull_request_reviews") or {}
    return {
        "requiresStrictStatusChecks": bool((rule.get("required_status_checks") or {}).get("strict")),
        "requiredApprovingReviewCount": int(reviews.get("required_approving_review_count") or 0),
    }


def blob(sha: str, data: bytes) -> Node:
    """A blob with its content."""
    return {
        "__typename": "Blob",
        "id": f"B_{sha}",
        "oid": sha,
        "abbreviatedOid": sha[:7],
        "byteSize": len(data),
        "isBinary": b"\0" in data,
        "text": data.decode("utf-8", "replace"),
    }


def changed_file(change: Change) -> Node:
    """A changed file of a pull request."""
    return {
        "path": change.path,
        "additions": change.additions or 0,
        "deletions": change.deletions or 0,
        "changeType": _CHANGE_TYPES.get(change.status, change.status.upper()),
    }


def label(call: Call, repository: Repository, name: str) -> Node:
    """A label, by name."""
    entry = repository.labels[name]
    return {
        "__typename": "Label",
        "id": node_id("LA", entry.id),
        "name": name,
        "color": entry.color,
        "description": entry.description,
        "isDefault": False,
        "createdAt": repository.created,
        "url": call.serializer.page_url(repository, f"/labels/{name}"),
    }


def comment(call: Call, repository: Repository, issue: Issue, comment: Comment, *, author: Node) -> Node:
    """A comment."""
    mine = call.principal is not None and call.principal.login == comment.author
    return {
        "__typename": "IssueComment",
        "id": node_id("IC", comment.id),
        "databaseId": comment.id,
        "body": comment.body,
        "author": author,
        "authorAssociation": "NONE",
        "createdAt": comment.created,
        "updatedAt": comment.updated,
        "includesCreatedEdit": comment.updated != comment.created,
        "isMinimized": False,
        "reactionGroups": [],
        "url": serialize_issues.comment(call.serializer, repository, issue, comment)["html_url"],
        **dict.fromkeys(("viewerDidAuthor", "viewerCanDelete", "viewerCanUpdate"), mine),
    }


def review(call: Call, repository: Repository, issue: Issue, review: Review, *, author: Node) -> Node:
    """A review; its commit is added by the caller."""
    return {
        "__typename": "PullRequestReview",
        "id": node_id("PRR", review.id),
        "author": author,
        "authorAssociation": "NONE",
        "body": review.body,
        "state": review.state,
        "submittedAt": review.submitted,
        "createdAt": review.submitted,
        "includesCreatedEdit": False,
        "reactionGroups": [],
        "url": serialize_issues.review(call.serializer, repository, issue, review)["html_url"],
    }
