"""Templates without one statement, to show that a test fails without it; not a test itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.harness.platform.permissions import Statement

PLATFORM, WORKFLOWS = Path("infra/platform.yaml"), Path("infra/github-oidc.yaml")
_TRUST = "AssumeRolePolicyDocument"
_HARMLESS = {True: "sts:TagSession", False: "sts:GetCallerIdentity"}
"""What the only statement of a policy allows instead, since IAM stores no policy without one: trust policy, other."""


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A statement in a template; `alone` if its policy has no other."""

    node: yaml.Node
    trust: bool
    alone: bool


def template_of(owner: str) -> Path:
    """The template that an owner, as `permissions.owner_name` names it, stands in."""
    return WORKFLOWS if owner.rpartition(" ")[2].startswith("github-") else PLATFORM


def without(text: str, statement: Statement) -> str:
    """The template's text without the statement.

    Raises:
        LookupError: the template has no such statement, or more than one.
    """
    owner, sid = statement
    found = [each for each in _statements(yaml.compose(text, Loader=yaml.SafeLoader), owner) if each[0] == sid]
    if len(found) != 1:
        raise LookupError(f"{len(found)} statements of {owner} are called {sid}")
    [(_, place)] = found
    if place.alone:
        action = _member(place.node, "Action")
        return text[: action.start_mark.index] + _HARMLESS[place.trust] + text[action.end_mark.index :]
    lines = text.splitlines(keepends=True)
    flow = isinstance(place.node, yaml.MappingNode) and bool(place.node.flow_style)
    end = place.node.end_mark.line + (1 if flow else 0)
    return "".join(lines[: place.node.start_mark.line] + lines[end:])


def _statements(root: yaml.Node | None, owner: str) -> Iterator[tuple[str, _Found]]:
    """The statements of the owner's policies: its own, and those of policy resources that name it."""
    trust, name = owner.startswith("trust of "), owner.rpartition(" ")[2].removeprefix("github-")
    for logical, resource in _pairs(_member(root, "Resources")):
        properties = dict(_pairs(_member(resource, "Properties")))
        named = {
            str(each.value).partition(".")[0]
            for member in ("Roles", "Queues", "Topics")
            for each in _items(properties.get(member))
        }
        bucket = properties.get("Bucket")
        named |= {str(bucket.value)} if isinstance(bucket, yaml.ScalarNode) and bucket.tag == "!Ref" else set()
        if name.lower() != logical.lower() and name.lower() not in {each.lower() for each in named}:
            continue
        documents = [properties.get(member) for member in ([_TRUST] if trust else ["PolicyDocument", "KeyPolicy"])]
        if not trust:
            documents += [_member(policy, "PolicyDocument") for policy in _items(properties.get("Policies"))]
        for document in filter(None, documents):
            items = _items(_member(document, "Statement"))
            for index, item in enumerate(items):
                sid = next((str(value.value) for key, value in _pairs(item) if key == "Sid"), f"#{index}")
                yield sid, _Found(node=item, trust=trust, alone=len(items) == 1)


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _member(node: yaml.Node | None, name: str) -> yaml.Node:
    """A member of a mapping; an empty mapping if it has none."""
    empty = yaml.MappingNode("tag:yaml.org,2002:map", [])
    return next((value for key, value in _pairs(node) if key == name), empty)
