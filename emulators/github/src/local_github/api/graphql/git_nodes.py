"""Renders refs, commits and blobs as GraphQL nodes."""

from __future__ import annotations

from local_github.api.graphql.check_nodes import status_check_rollup
from local_github.api.graphql.connections import Node, connection_field
from local_github.api.graphql.leaf_nodes import blob, branch_protection_rule
from local_github.api.graphql.node_contract import NodeRenderer
from local_github.clock import to_utc
from local_github.domain.records import Repository
from local_github.git.output_parser import Commit, Person


def ref_node(nodes: NodeRenderer, repository: Repository, name: str) -> Node | None:
    """A ref; None if it does not exist."""
    sha = repository.git.ref(name)
    if sha is None:
        return None
    prefix = next((known for known in ("refs/heads/", "refs/tags/") if name.startswith(known)), "refs/")
    branch = name.removeprefix(prefix)
    rule = repository.protections.get(branch) if prefix == "refs/heads/" else None
    return {
        "id": f"REF_{repository.id}_{name}",
        "name": branch,
        "prefix": prefix,
        "target": lambda _: nodes.object(repository, sha),
        "repository": lambda _: nodes.repository(repository),
        "branchProtectionRule": branch_protection_rule(rule) if rule else None,
        "associatedPullRequests": lambda _, states=None, **arguments: nodes.pulls(
            repository, states=states, headRefName=branch, **arguments
        ),
    }


def object_node(nodes: NodeRenderer, repository: Repository, expression: str) -> Node | None:
    """The object of an expression: a commit, or a blob for `main:path`; None if there is none."""
    revision, colon, path = expression.partition(":")
    commit = repository.git.commit(revision)
    if commit is None or not colon:
        return nodes.commit(repository, commit) if commit else None
    entry = repository.git.entry(commit.sha, path) if path else None
    if entry is None or entry.kind != "blob":
        return None
    return blob(entry.sha, repository.git.run("cat-file", "blob", entry.sha))


def _person(nodes: NodeRenderer, person: Person) -> Node:
    user = nodes.call.state.user_of_email(person.email)
    account = nodes.actor(user.login) if user and user.kind == "User" else None
    return {"name": person.name, "email": person.email, "date": to_utc(person.date), "user": account}


def commit_node(nodes: NodeRenderer, repository: Repository, commit: Commit) -> Node:
    """A commit."""
    headline, _, body = commit.message.partition("\n")
    return {
        "__typename": "Commit",
        "id": f"C_{commit.sha}",
        "oid": commit.sha,
        "abbreviatedOid": commit.sha[:7],
        "message": commit.message,
        "messageHeadline": headline,
        "messageBody": body.strip(),
        "committedDate": to_utc(commit.committer.date),
        "authoredDate": to_utc(commit.author.date),
        "author": _person(nodes, commit.author),
        "committer": _person(nodes, commit.committer),
        "authors": connection_field([commit.author], lambda author: _person(nodes, author)),
        "url": nodes.call.serializer.page_url(repository, f"/commit/{commit.sha}"),
        "parents": connection_field(commit.parents, lambda sha: nodes.object(repository, sha)),
        "statusCheckRollup": lambda _: status_check_rollup(nodes.call, repository, commit.sha),
    }
