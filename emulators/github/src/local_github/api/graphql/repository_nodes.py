"""Renders repositories as GraphQL nodes."""

from __future__ import annotations

from local_github.api.graphql.connections import Node, connection_field, empty_connection
from local_github.api.graphql.leaf_nodes import label
from local_github.api.graphql.node_contract import NodeRenderer
from local_github.api.graphql.user_nodes import user_logins
from local_github.domain.records import Repository
from local_github.serializers.base import node_id


def repository_node(nodes: NodeRenderer, repository: Repository) -> Node:
    """A repository."""
    git, settings = repository.git, repository.settings
    page = nodes.call.serializer.page_url(repository)
    principal = nodes.call.principal
    writes = principal is not None and principal.may(repository.full_name, "contents", "write")
    admin = principal is not None and principal.is_admin(repository.full_name)
    parent = nodes.call.state.named(repository.parent) if repository.parent else None
    default = f"refs/heads/{repository.default_branch}"

    def by_number(number: int, kind: str | None) -> Node | None:
        issue = repository.issues.get(number)
        if issue is None or (kind == "pull" and not issue.pull) or (kind == "issue" and issue.pull):
            return None
        return nodes.pull(repository, issue) if issue.pull else nodes.issue(repository, issue)

    return {
        "__typename": "Repository",
        "id": node_id("R", repository.id),
        "databaseId": repository.id,
        "name": repository.name,
        "nameWithOwner": repository.full_name,
        "owner": nodes.actor(repository.owner),
        "description": repository.description,
        "url": page,
        "sshUrl": f"{page}.git",
        "isPrivate": repository.private,
        "visibility": "PRIVATE" if repository.private else "PUBLIC",
        "isFork": parent is not None,
        "isEmpty": lambda _: not git.refs(),
        **dict.fromkeys(("isArchived", "isTemplate", "isInOrganization", "isMirror"), False),
        **dict.fromkeys(("hasProjectsEnabled", "hasWikiEnabled", "hasDiscussionsEnabled"), False),
        "hasIssuesEnabled": True,
        **dict.fromkeys(("createdAt", "updatedAt", "pushedAt"), repository.created),
        **dict.fromkeys(("stargazerCount", "forkCount", "diskUsage"), 0),
        "defaultBranchRef": lambda _: nodes.ref(repository, default),
        "parent": lambda _: nodes.repository(parent) if parent else None,
        "viewerPermission": "ADMIN" if admin else "WRITE" if writes else "READ",
        "viewerCanAdminister": admin,
        "viewerDefaultMergeMethod": "MERGE",
        "mergeCommitAllowed": settings["allow_merge_commit"],
        "squashMergeAllowed": settings["allow_squash_merge"],
        "rebaseMergeAllowed": settings["allow_rebase_merge"],
        "autoMergeAllowed": settings["allow_auto_merge"],
        "deleteBranchOnMerge": settings["delete_branch_on_merge"],
        "repositoryTopics": empty_connection,
        "ref": lambda _, qualifiedName: nodes.ref(
            repository, qualifiedName if qualifiedName.startswith("refs/") else f"refs/heads/{qualifiedName}"
        ),
        "refs": lambda _, refPrefix, query=None, **arguments: connection_field(
            [name for name in git.refs(refPrefix) if not query or query in name],
            lambda name: nodes.ref(repository, name),
        )(_, **{key: value for key, value in arguments.items() if key in {"first", "after"}}),
        "object": lambda _, expression=None, oid=None: nodes.object(repository, oid or expression or ""),
        "pullRequest": lambda _, number: by_number(number, "pull"),
        "pullRequests": lambda _, **arguments: nodes.pulls(repository, **arguments),
        "issue": lambda _, number: by_number(number, "issue"),
        "issues": lambda _, **arguments: nodes.issues(repository, **arguments),
        "issueOrPullRequest": lambda _, number: by_number(number, None),
        "label": lambda _, name: label(nodes.call, repository, name) if name in repository.labels else None,
        "labels": lambda _, query=None, orderBy=None, **arguments: connection_field(  # noqa: ARG005 - GitHub's names
            [name for name in sorted(repository.labels) if not query or query.lower() in name.lower()],
            lambda name: label(nodes.call, repository, name),
        )(_, **arguments),
        **dict.fromkeys(("milestones", "projects", "projectsV2"), empty_connection),
        "assignableUsers": connection_field(lambda: user_logins(nodes), nodes.actor),
        "suggestedActors": connection_field(lambda: user_logins(nodes), nodes.actor),
        "issueTemplates": [],
        "pullRequestTemplates": [],
    }
