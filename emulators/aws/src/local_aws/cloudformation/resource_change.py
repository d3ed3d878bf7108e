"""Defines a change of one resource of a stack, and the API calls that it takes, as CloudFormation makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Properties = Mapping[str, Any]
ApiCall = tuple[str, dict[str, Any]]
"""`service:Operation` and its parameters."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What happens to one resource. `before` and `after` are its resolved properties, None where it does not exist.

    `name` is its physical name: given, or as CloudFormation generates it.
    """

    name: str
    before: Properties | None
    after: Properties | None

    @property
    def creates(self) -> bool:
        """Whether the resource is new."""
        return self.before is None

    @property
    def deletes(self) -> bool:
        """Whether the resource goes away."""
        return self.after is None

    @property
    def properties(self) -> Properties:
        """The properties of the resource, after the change if it then exists."""
        return self.after if self.after is not None else self.before or {}

    def sets(self, *names: str) -> bool:
        """Whether the change sets one of these properties to another value than before."""
        return any((self.after or {}).get(name) != (self.before or {}).get(name) for name in names)


Calls = Callable[[Change], Iterable[ApiCall]]
