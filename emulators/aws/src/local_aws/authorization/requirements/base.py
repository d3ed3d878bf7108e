"""What an operation requires: IAM actions on resources, with the context keys that AWS sets for them.

The tables of this package follow the AWS Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/), which states the resource types and condition
keys of every action; what it does not state has its source beside it. Knows no policies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_aws.authorization.calls import Call

Context = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One action on one resource; `context` has the keys of this action alone.

    `passed_to` is the service that a passed role must trust, for iam:PassRole.
    """

    action: str
    resource: str
    context: Context = field(default_factory=dict)
    passed_to: str = ""


Rule = Callable[[Call], Iterable[Requirement]]
"""What one operation requires."""


def arn(call: Call, service: str, resource: str) -> str:
    """The ARN of a resource of the call's account and region."""
    return f"arn:aws:{service}:{call.region}:{call.account}:{resource}"


def on_everything(action: str) -> Rule:
    """The rule of an action without resource types."""
    requirement = (Requirement(action, "*"),)
    return lambda _: requirement


def tags(call: Call, member: str = "Tags") -> dict[str, str | Sequence[str]]:
    """aws:RequestTag/… and aws:TagKeys for the tags in a parameter: a list of Key and Value, or a map."""
    given = call.parameters.get(member) or []
    pairs = list(given.items()) if isinstance(given, Mapping) else [_pair(tag) for tag in given]
    found: dict[str, str | Sequence[str]] = {f"aws:RequestTag/{key}": str(value) for key, value in pairs}
    if found:
        found["aws:TagKeys"] = tuple(key for key, _ in pairs)
    return found


def _pair(tag: Mapping[str, Any]) -> tuple[str, Any]:
    """Key and value of a tag; KMS calls them TagKey and TagValue."""
    return (tag["TagKey"], tag["TagValue"]) if "TagKey" in tag else (tag["Key"], tag.get("Value", ""))


def pass_role(role: Any, service: str) -> list[Requirement]:
    """iam:PassRole for a role that is handed to a service; nothing if no role is given."""
    if not role:
        return []
    return [Requirement("iam:PassRole", str(role), {"iam:PassedToService": service}, service)]


def values(**context: Any) -> dict[str, str | Sequence[str]]:
    """Context keys whose parameter was given: `cloudwatch_namespace=` becomes cloudwatch:namespace."""
    return {name.replace("_", ":", 1): str(value) for name, value in context.items() if value not in (None, "")}
