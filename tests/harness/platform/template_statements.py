"""The statements of infra/*.yaml as they stand in the templates; not a test itself."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from local_aws.authorization import justifications

ROOT = Path(__file__).resolve().parents[3]
PLATFORM, WORKFLOWS = Path("infra/platform.yaml"), Path("infra/github-oidc.yaml")
Statement = tuple[str, str]
"""Owner, as `permissions.owner_name` names it, and Sid, or `#0` without one."""
_TRUST = "AssumeRolePolicyDocument"
_SIGNING_KEY = ("LetPoliciesOfThisAccountGrantSigningKey", "OnlyTrainRoleSigns")
"""Sids of the key of provenance statements: the ARN of a key does not say which one it is."""


@dataclass(frozen=True, kw_only=True)
class FoundStatement:
    """A statement in a template; `alone` if its policy has no other."""

    node: yaml.Node
    trust: bool
    alone: bool


def template_of(statement: Statement) -> Path:
    """The template that a statement stands in."""
    owner, sid = statement
    workflows = owner.rpartition(" ")[2].startswith("github-") or sid in _SIGNING_KEY
    return WORKFLOWS if workflows else PLATFORM


def find(text: str, statement: Statement) -> FoundStatement:
    """The statement in a template's text.

    Raises:
        LookupError: the template has no such statement, or more than one.
    """
    owner, sid = statement
    found = [each for each in _statements_of(text, owner) if each[0] == sid]
    if len(found) != 1:
        raise LookupError(f"{len(found)} statements of {owner} are called {sid}")
    return found[0][1]


def unjustified_actions(owner: str, sid: str) -> set[str]:
    """The actions of a statement that a call uses, less those that a comment of the template covers."""
    text = (ROOT / template_of((owner, sid))).read_text("utf-8")
    node = find(text, (owner, sid)).node
    action = member(node, "Action")
    actions = [str(each.value) for each in _items(action)] or [str(action.value)]
    reasons = justifications.above(text.splitlines(), node.start_mark.line)
    return set(actions) - justifications.by_action(actions, reasons, used=True).keys()


@functools.lru_cache(maxsize=4)
def _root(text: str) -> yaml.Node | None:
    """The nodes of a template, which takes half a second to parse."""
    root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    return root


@functools.lru_cache(maxsize=200)
def _statements_of(text: str, owner: str) -> tuple[tuple[str, FoundStatement], ...]:
    return tuple(_statements(_root(text), owner))


def _statements(root: yaml.Node | None, owner: str) -> Iterator[tuple[str, FoundStatement]]:
    """The statements of the owner's policies: its own, and those of policy resources that name it."""
    trust, name = owner.startswith("trust of "), owner.rpartition(" ")[2].removeprefix("github-")
    for logical, resource in _pairs(member(root, "Resources")):
        properties = dict(_pairs(member(resource, "Properties")))
        named = {
            str(each.value).partition(".")[0]
            for member in ("Roles", "Queues", "Topics")
            for each in _items(properties.get(member))
        }
        bucket = properties.get("Bucket")
        named |= {str(bucket.value)} if isinstance(bucket, yaml.ScalarNode) and bucket.tag == "!Ref" else set()
        if logical == "SigningKey":
            named.add("Key")
        if name.lower() != logical.lower() and name.lower() not in {each.lower() for each in named}:
            continue
        documents = [properties.get(member) for member in ([_TRUST] if trust else ["PolicyDocument", "KeyPolicy"])]
        if not trust:
            documents += [member(policy, "PolicyDocument") for policy in _items(properties.get("Policies"))]
        for document in filter(None, documents):
            items = _items(member(document, "Statement"))
            for index, item in enumerate(items):
                sid = next((str(value.value) for key, value in _pairs(item) if key == "Sid"), f"#{index}")
                yield sid, FoundStatement(node=item, trust=trust, alone=len(items) == 1)


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    return [(str(key.value), value) for key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def member(node: yaml.Node | None, name: str) -> yaml.Node:
    """A member of a mapping; an empty mapping if it has none."""
    empty = yaml.MappingNode("tag:yaml.org,2002:map", [])
    return next((value for key, value in _pairs(node) if key == name), empty)
