"""Comments of a CloudFormation template that justify statements and actions which no emulated call uses.

The comments stand directly above the statement: `# unused in the emulators: reason`; more comment lines continue one,
and each mark starts another. A reason that names actions of the statement covers these, any other all of them.
Reads templates; judges no reason.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment] # the same methods

MARK = "# unused in the emulators:"


@dataclass(frozen=True, kw_only=True)
class StatementPlace:
    """Where a statement stands: the resource's logical id and type, the policy's name (empty for the trust policy of a
    role and for a policy that is a resource's only one), and the statement's Sid, or `#` and its index without one."""

    resource: str
    type: str
    policy: str
    sid: str


Reasons = tuple[str, ...]
"""The texts of the comments above one statement, in their order."""


@functools.lru_cache(maxsize=64)
def of_template(text: str) -> Mapping[StatementPlace, Reasons]:
    """The reasons in a template's comments, by statement; statements without such a comment are left out."""
    root = yaml.compose(text, Loader=SafeLoader)
    lines = text.splitlines()
    found: dict[StatementPlace, Reasons] = {}
    for place, line in _statements(root):
        if reasons := above(lines, line):
            found[place] = reasons
    return found


def above(lines: Sequence[str], statement: int) -> Reasons:
    """The reasons in the comment lines directly above the line with this index; empty without the mark."""
    reasons: list[str] = []
    comment: list[str] = []
    for line in reversed(lines[:statement]):
        text = line.strip()
        if not text.startswith("#"):
            break
        if text.startswith(MARK):
            reasons.append(" ".join([text.removeprefix(MARK).strip(), *reversed(comment)]).strip())
            comment = []
        else:
            comment.append(text.lstrip("# "))
    return tuple(reversed(reasons))


def by_action(actions: Iterable[str], reasons: Iterable[str], *, used: bool) -> Mapping[str, str]:
    """The reason that covers each of a statement's actions; actions that none covers are left out.

    A reason that names no action covers nothing in a statement that is used: it says that no call uses any.
    """
    every = tuple(actions)
    found: dict[str, str] = {}
    for reason in reasons:
        for action in _named(every, reason) or (() if used else every):
            found.setdefault(action, reason)
    return found


def _named(actions: Iterable[str], reason: str) -> list[str]:
    return [action for action in actions if re.search(rf"(?<![\w:*]){re.escape(action)}(?![\w*])", reason)]


def _statements(root: yaml.Node | None) -> Iterator[tuple[StatementPlace, int]]:
    """Each statement of the template's roles, policies and keys, and the index of its first line."""
    for name, resource in _members(_member(root, "Resources")):
        type_name, properties = _text(_member(resource, "Type")), _member(resource, "Properties")
        policies = [(_text(_member(properties, "PolicyName")), _member(properties, "PolicyDocument"))]
        policies += [("", _member(properties, name)) for name in ("AssumeRolePolicyDocument", "KeyPolicy")]
        for policy in _items(_member(properties, "Policies")):
            policies.append((_text(_member(policy, "PolicyName")), _member(policy, "PolicyDocument")))
        for policy_name, document in policies:
            for index, statement in enumerate(_items(_member(document, "Statement"))):
                sid = _text(_member(statement, "Sid")) or f"#{index}"
                place = StatementPlace(resource=name, type=type_name, policy=policy_name, sid=sid)
                yield place, statement.start_mark.line


def _members(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(_text(key), value) for key, value in node.value]


def _member(node: yaml.Node | None, name: str) -> yaml.Node | None:
    return next((value for key, value in _members(node) if key == name), None)


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    """The items of a sequence; a mapping is its own only item, as IAM allows for Statement."""
    if isinstance(node, yaml.MappingNode) and not node.tag.startswith("!"):
        return [node]
    return list(node.value) if isinstance(node, yaml.SequenceNode) and not node.tag.startswith("!") else []


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""
