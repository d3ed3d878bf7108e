"""Comments of a CloudFormation template that justify statements which no emulated call uses.

The comment stands directly above the statement: `# unused in the emulators: reason`; more comment lines continue it.
Reads templates; judges no reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import yaml

MARK = "# unused in the emulators:"


@dataclass(frozen=True, kw_only=True)
class StatementPlace:
    """Where a statement stands: the resource's logical id and type, the policy's name (empty for the trust policy of a
    role and for a policy that is a resource's only one), and the statement's Sid, or `#` and its index without one."""

    resource: str
    type: str
    policy: str
    sid: str


def of_template(text: str) -> Mapping[StatementPlace, str]:
    """The reasons in a template's comments, by statement; statements without such a comment are left out."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines()
    found: dict[StatementPlace, str] = {}
    for place, line in _statements(root):
        if reason := _reason(lines, line):
            found[place] = reason
    return found


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


def _reason(lines: list[str], statement: int) -> str:
    """The reason in the comment lines directly above a line; empty without the mark."""
    comment: list[str] = []
    for line in reversed(lines[:statement]):
        text = line.strip()
        if not text.startswith("#"):
            return ""
        if text.startswith(MARK):
            return " ".join([text.removeprefix(MARK).strip(), *reversed(comment)]).strip()
        comment.append(text.lstrip("# "))
    return ""


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
