"""Renders the records of one caller's view as GraphQL nodes.

Composes the renderers of users, Git objects, repositories, issues and pull requests. Their nodes refer to each other,
so fields are functions that run only if a query selects them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local_github.api.graphql import git_nodes, issue_nodes, pull_request_nodes, repository_nodes, user_nodes
from local_github.api.graphql.connections import Node
from local_github.api.router import Call
from local_github.domain.records import Comment, Issue, Repository, Review
from local_github.git.output_parser import Commit


@dataclass(frozen=True)
class Nodes:
    """Renders nodes for one caller; the `NodeRenderer` of all of them."""

    call: Call

    def actor(self, login: str) -> Node:
        """A user or an App; GraphQL omits `[bot]` from an App's login."""
        return user_nodes.actor_node(self, login)

    def ref(self, repository: Repository, name: str) -> Node | None:
        """A ref; None if it does not exist."""
        return git_nodes.ref_node(self, repository, name)

    def object(self, repository: Repository, expression: str) -> Node | None:
        """The object of an expression: a commit, or a blob for `main:path`; None if there is none."""
        return git_nodes.object_node(self, repository, expression)

    def commit(self, repository: Repository, commit: Commit) -> Node:
        """A commit."""
        return git_nodes.commit_node(self, repository, commit)

    def repository(self, repository: Repository) -> Node:
        """A repository."""
        return repository_nodes.repository_node(self, repository)

    def issue(self, repository: Repository, issue: Issue) -> Node:
        """An issue that is not a pull request."""
        return issue_nodes.issue_node(self, repository, issue)

    def issues(self, repository: Repository, **arguments: Any) -> Node:
        """A connection of issues, by GitHub's arguments."""
        return issue_nodes.issue_connection(self, repository, **arguments)

    def comment(self, repository: Repository, issue: Issue, entry: Comment) -> Node:
        """A comment."""
        return issue_nodes.comment_node(self, repository, issue, entry)

    def pull(self, repository: Repository, issue: Issue) -> Node:
        """A pull request."""
        return pull_request_nodes.pull_request_node(self, repository, issue)

    def pulls(self, repository: Repository, **arguments: Any) -> Node:
        """A connection of pull requests, by GitHub's arguments."""
        return pull_request_nodes.pull_request_connection(self, repository, **arguments)

    def queue_entry(self, repository: Repository, issue: Issue) -> Node | None:
        """The entry of a pull request in a merge queue; None if it is not queued."""
        return pull_request_nodes.queue_entry_node(self, repository, issue)

    def review(self, repository: Repository, issue: Issue, entry: Review) -> Node:
        """A review."""
        return pull_request_nodes.review_node(self, repository, issue, entry)
