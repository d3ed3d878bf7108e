"""What the renderers of GraphQL nodes need of each other."""

from __future__ import annotations

from typing import Any, Protocol

from local_github.api.graphql.connections import Node
from local_github.api.router import Call
from local_github.domain.records import Issue, Repository
from local_github.git.output_parser import Commit


class NodeRenderer(Protocol):
    """Renders the nodes that other nodes refer to, for one caller."""

    @property
    def call(self) -> Call:
        """The call that is answered."""

    def actor(self, login: str) -> Node:
        """A user or an App."""

    def ref(self, repository: Repository, name: str) -> Node | None:
        """A ref; None if it does not exist."""

    def object(self, repository: Repository, expression: str) -> Node | None:
        """The object of an expression; None if there is none."""

    def commit(self, repository: Repository, commit: Commit) -> Node:
        """A commit."""

    def repository(self, repository: Repository) -> Node:
        """A repository."""

    def issue(self, repository: Repository, issue: Issue) -> Node:
        """An issue that is not a pull request."""

    def issues(self, repository: Repository, **arguments: Any) -> Node:
        """A connection of issues, by GitHub's arguments."""

    def pull(self, repository: Repository, issue: Issue) -> Node:
        """A pull request."""

    def pulls(self, repository: Repository, **arguments: Any) -> Node:
        """A connection of pull requests, by GitHub's arguments."""
