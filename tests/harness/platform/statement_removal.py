"""Templates without one statement, to show that a test fails without it; not a test itself."""

from __future__ import annotations

import yaml

from tests.harness.platform import template_statements
from tests.harness.platform.template_statements import Statement

_HARMLESS = {True: "sts:TagSession", False: "sts:GetCallerIdentity"}
"""What the only statement of a policy allows instead, since IAM stores no policy without one: trust policy, other."""


def without(text: str, statement: Statement) -> str:
    """The template's text without the statement.

    Raises:
        LookupError: the template has no such statement, or more than one.
    """
    place = template_statements.find(text, statement)
    if place.alone:
        action = template_statements.member(place.node, "Action")
        return text[: action.start_mark.index] + _HARMLESS[place.trust] + text[action.end_mark.index :]
    lines = text.splitlines(keepends=True)
    flow = isinstance(place.node, yaml.MappingNode) and bool(place.node.flow_style)
    end = place.node.end_mark.line + (1 if flow else 0)
    return "".join(lines[: place.node.start_mark.line] + lines[end:])
