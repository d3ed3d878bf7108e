"""Reads fields of a request body; 422 if one is missing or has the wrong type."""

from __future__ import annotations

from typing import Any

from local_github.api.router import Call
from local_github.errors import custom, invalid


def text(call: Call, resource: str, field: str) -> str:
    """A required, non-empty string."""
    value = call.body.get(field)
    if value is None or value == "":
        raise invalid(resource, field, "missing_field")
    if not isinstance(value, str):
        raise invalid(resource, field)
    return value


def optional(call: Call, resource: str, field: str) -> str | None:
    """A string that may be missing or null."""
    value = call.body.get(field)
    if value is not None and not isinstance(value, str):
        raise invalid(resource, field)
    return value


def names(call: Call, resource: str, field: str) -> list[str]:
    """A list of names, each a string or an object with `name`."""
    value: Any = call.body.get(field, [])
    items: list[Any] = (
        [item.get("name") if isinstance(item, dict) else item for item in value] if isinstance(value, list) else [None]
    )
    if not all(isinstance(item, str) and item for item in items):
        raise invalid(resource, field)
    return items


def limited(value: str | None, resource: str, field: str, limit: int) -> str | None:
    """The value; 422 if it is longer than `limit` characters."""
    if value is not None and len(value) > limit:
        raise custom(resource, f"{field} is too long (maximum is {limit} characters)")
    return value
