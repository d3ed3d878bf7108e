"""Describes rules of EventBridge. Changes none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ml.aws import session


@dataclass(frozen=True, kw_only=True)
class EventRule:
    """A rule of the default bus: whether it is enabled, its pattern, and the ARNs of its targets, sorted."""

    enabled: bool
    pattern: Any
    targets: tuple[str, ...]


def describe(name: str) -> EventRule | None:
    """The rule `name`; None if there is none. Raises CloudError."""
    events = session.client("events")
    with session.explained(f"reading rule {name}"):
        try:
            found = events.describe_rule(Name=name)
        except events.exceptions.ResourceNotFoundException:
            return None
        targets = events.list_targets_by_rule(Rule=name)["Targets"]
    return EventRule(
        enabled=found["State"] == "ENABLED",
        pattern=json.loads(found.get("EventPattern") or "null"),
        targets=tuple(sorted(target["Arn"] for target in targets)),
    )
