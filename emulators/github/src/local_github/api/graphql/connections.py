"""Builds GraphQL connections: lists paged by first and after, or last and before."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from graphql import GraphQLError

T = TypeVar("T")
Node = dict[str, Any]


def connection(items: Sequence[T], render: Callable[[T], Any], **arguments: Any) -> Node:
    """A page of `items` as a connection; a cursor encodes a position in the list."""
    start, end = 0, len(items)
    if arguments.get("after"):
        start = max(start, _position(arguments["after"]))
    if arguments.get("before"):
        end = min(end, _position(arguments["before"]) - 1)
    if arguments.get("first") is not None:
        end = min(end, start + arguments["first"])
    if arguments.get("last") is not None:
        start = max(start, end - arguments["last"])
    page = items[start:end]
    nodes = [render(item) for item in page]
    return {
        "nodes": nodes,
        "edges": [{"node": node, "cursor": _cursor(start + at + 1)} for at, node in enumerate(nodes)],
        "totalCount": len(items),
        "issueCount": len(items),
        "repositoryCount": 0,
        "pageInfo": {
            "startCursor": _cursor(start + 1) if page else None,
            "endCursor": _cursor(end) if page else None,
            "hasNextPage": end < len(items),
            "hasPreviousPage": start > 0,
        },
    }


def connection_field(items: Callable[[], Sequence[T]] | Sequence[T], render: Callable[[T], Any]) -> Callable[..., Node]:
    """A resolver that returns a connection over `items`, evaluated only if the field is selected."""
    return lambda _, **arguments: connection(items() if callable(items) else items, render, **arguments)


def empty_connection(_: Any, **arguments: Any) -> Node:
    """A resolver of a connection that has no nodes."""
    return connection((), lambda item: item, **arguments)


def _cursor(position: int) -> str:
    return base64.b64encode(f"cursor:{position}".encode()).decode()


def _position(cursor: str) -> int:
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("cursor:"))
    except (binascii.Error, ValueError):
        raise GraphQLError(f"`{cursor}` does not appear to be a valid cursor.") from None
