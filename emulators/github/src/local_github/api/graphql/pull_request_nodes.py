"""Renders pull requests, their reviews and their entries in merge queues as GraphQL nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local_github.api.graphql import leaf_nodes
from local_github.api.graphql.check_nodes import status_check_rollup
from local_github.api.graphql.connections import Node, connection, connection_field
from local_github.api.graphql.filters import filter_pull_requests
from local_github.api.graphql.issue_nodes import common_fields
from local_github.api.graphql.node_contract import NodeRenderer
from local_github.api.graphql.pull_request_states import merge_state, review_decision, state_of
from local_github.api.graphql.user_nodes import user_logins
from local_github.domain import merge_queue
from local_github.domain.pull_requests import merge_base, pull_of
from local_github.domain.records import Issue, Repository, Review
from local_github.serializers import issues as serialize_issues
from local_github.serializers.base import node_id


def pull_request_connection(
    nodes: NodeRenderer,
    repository: Repository,
    *,
    states: list[str] | None = None,
    labels: list[str] | None = None,
    headRefName: str | None = None,
    baseRefName: str | None = None,
    orderBy: dict[str, str] | None = None,
    **page: Any,
) -> Node:
    """A connection of pull requests, by GitHub's arguments."""
    found = filter_pull_requests(
        repository, states=states, labels=labels, head=headRefName, base=baseRefName, order_by=orderBy
    )
    return connection(found, lambda issue: nodes.pull(repository, issue), **page)


def pull_request_node(nodes: NodeRenderer, repository: Repository, issue: Issue) -> Node:
    """A pull request."""
    pull, git, serializer = pull_of(issue), repository.git, nodes.call.serializer
    head = nodes.call.state.named(pull.head_repository)

    def detail(name: str) -> Callable[[Any], Any]:
        return lambda _: serialize_issues.pull_request(serializer, repository, issue)[name]

    open_now = issue.state == "open"
    base = merge_base(repository, issue)
    merged = pull.merge_sha if pull.merged else None
    known = open_now and pull.mergeable is not None
    mergeable = ("MERGEABLE" if pull.mergeable else "CONFLICTING") if known else "UNKNOWN"
    return common_fields(nodes, repository, issue) | {
        "__typename": "PullRequest",
        "id": node_id("PR", issue.id),
        "fullDatabaseId": str(pull.id),
        "state": state_of(issue),
        "isDraft": pull.draft,
        "merged": pull.merged is not None,
        "mergedAt": pull.merged,
        "mergedBy": nodes.actor(pull.merged_by) if pull.merged_by else None,
        "mergeCommit": lambda _: nodes.object(repository, merged) if merged else None,
        "potentialMergeCommit": lambda _: nodes.object(repository, pull.merge_sha) if pull.merge_sha else None,
        "mergeable": mergeable,
        "mergeStateStatus": lambda _: merge_state(nodes.call.state, repository, issue),
        "viewerCanUpdateBranch": False,
        "isInMergeQueue": lambda _: merge_queue.entry_of(repository, issue) is not None,
        "isMergeQueueEnabled": lambda _: merge_queue.rule_of(nodes.call.state, repository, pull.base_ref) is not None,
        "mergeQueueEntry": lambda _: queue_entry_node(nodes, repository, issue),
        "headRefName": pull.head_ref,
        "headRefOid": pull.head_sha,
        "headRef": lambda _: nodes.ref(head, f"refs/heads/{pull.head_ref}"),
        "headRepository": lambda _: nodes.repository(head),
        "headRepositoryOwner": nodes.actor(head.owner),
        "isCrossRepository": head is not repository,
        "maintainerCanModify": pull.maintainer_can_modify,
        "baseRefName": pull.base_ref,
        "baseRefOid": pull.base_sha,
        "baseRef": lambda _: nodes.ref(repository, f"refs/heads/{pull.base_ref}"),
        "baseRepository": lambda _: nodes.repository(repository),
        "viewerMergeHeadlineText": lambda _, **__: (
            f"Merge pull request #{issue.number} from {head.owner}/{pull.head_ref}"
        ),
        "viewerMergeBodyText": lambda _, **__: issue.title,
        "additions": detail("additions"),
        "deletions": detail("deletions"),
        "changedFiles": detail("changed_files"),
        "files": connection_field(lambda: git.changes(base, pull.head_sha), leaf_nodes.changed_file),
        "commits": connection_field(
            lambda: git.commits("--reverse", f"{base}..{pull.head_sha}"),
            lambda commit: {"id": f"PRC_{commit.sha}", "commit": nodes.commit(repository, commit)},
        ),
        "statusCheckRollup": lambda _: status_check_rollup(nodes.call, repository, pull.head_sha),
        "reviews": lambda _, states=None, **page: connection_field(
            [review for review in pull.reviews if not states or review.state in states],
            lambda review: review_node(nodes, repository, issue, review),
        )(_, **page),
        "latestReviews": connection_field(
            lambda: list({review.author: review for review in pull.reviews}.values()),
            lambda review: review_node(nodes, repository, issue, review),
        ),
        "reviewRequests": connection_field(
            pull.reviewers, lambda login: {"id": f"RR_{login}", "requestedReviewer": nodes.actor(login)}
        ),
        "reviewDecision": review_decision(nodes.call.state, repository, issue),
        "suggestedReviewerActors": connection_field(lambda: user_logins(nodes), nodes.actor),
    }


def queue_entry_node(nodes: NodeRenderer, repository: Repository, issue: Issue) -> Node | None:
    """The entry of a pull request in a merge queue; None if it is not queued."""
    entry = merge_queue.entry_of(repository, issue)
    if entry is None:
        return None
    return {
        "id": node_id("MQE", entry.id),
        "position": repository.merge_queues[pull_of(issue).base_ref].index(entry) + 1,
        "state": "AWAITING_CHECKS" if entry.sha else "QUEUED",
        "enqueuedAt": entry.enqueued,
        "enqueuer": nodes.actor(entry.by),
        "headCommit": lambda _: nodes.object(repository, entry.sha) if entry.sha else None,
        "baseCommit": lambda _: nodes.object(repository, entry.base) if entry.base else None,
        "pullRequest": lambda _: nodes.pull(repository, issue),
    }


def review_node(nodes: NodeRenderer, repository: Repository, issue: Issue, entry: Review) -> Node:
    """A review."""
    fields = leaf_nodes.review(nodes.call, repository, issue, entry, author=nodes.actor(entry.author))
    return fields | {"commit": lambda _: nodes.object(repository, entry.sha)}
