"""Renders users and Apps as GraphQL nodes."""

from __future__ import annotations

from local_github.api.graphql.connections import Node, connection_field
from local_github.api.graphql.node_contract import NodeRenderer
from local_github.serializers.base import node_id


def actor_node(nodes: NodeRenderer, login: str) -> Node:
    """A user or an App; GraphQL omits `[bot]` from an App's login."""
    user = nodes.call.state.user(login)
    bot = user.kind == "Bot"
    return {
        "__typename": "Bot" if bot else "User",
        "id": node_id("U", user.id),
        "databaseId": user.id,
        "login": login.removesuffix("[bot]") if bot else user.login,
        "name": user.login,
        "email": user.email,
        "avatarUrl": lambda _, **__: "",
        "resourcePath": f"/{user.login}",
        "url": f"{nodes.call.links.html}/{user.login}",
        "repositories": connection_field(
            lambda: [
                r for r in nodes.call.state.repositories.values() if r.owner == user.login and nodes.call.can_see(r)
            ],
            nodes.repository,
        ),
    }


def user_logins(nodes: NodeRenderer) -> list[str]:
    """The logins of all users, without Apps."""
    return [user.login for user in nodes.call.state.users.values() if user.kind == "User"]
