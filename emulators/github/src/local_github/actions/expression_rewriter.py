"""Replaces contexts that act lacks or fills wrongly by their values, in the expressions of a job. Evaluates nothing.

act runs each job alone, so it knows no `needs`, no `strategy.job-index` and no inputs of a reusable workflow, and its
`github` and `runner` contexts lack some members. The values are written into the expressions as literals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from local_github.actions.pre_run_expressions import Filtered, member

GITHUB_MEMBERS = (
    "actor_id",
    "ref_protected",
    "ref_type",
    "repository_id",
    "repository_owner_id",
    "triggering_actor",
    "workflow_ref",
    "workflow_sha",
)
"""Members of `github` that act leaves empty."""
_MEMBERS = {"github": GITHUB_MEMBERS, "runner": ("environment",)}
_WHOLE = ("needs", "strategy", "inputs")
"""Contexts that are replaced as a whole; of the others only the members above."""

_EXPRESSION = re.compile(r"\$\{\{((?:'[^']*'|[^'])*?)\}\}", re.DOTALL)
_TEXT_OR_NAME = re.compile(r"'(?:[^']|'')*'|(?<![\w.\-])(?P<name>[A-Za-z_][\w-]*)")
_STEP = re.compile(
    r"\s*\.\s*(?P<name>[A-Za-z_][\w-]*)|\s*\.\s*(?P<all>\*)|\s*\[\s*(?:'(?P<text>(?:[^']|'')*)'|(?P<index>\d+))\s*\]"
)


def rewrite(value: Any, contexts: Mapping[str, Any]) -> Any:
    """A YAML value of a workflow with the contexts of this module replaced by values from `contexts`."""
    if isinstance(value, Mapping):
        return {
            key: _condition(item, contexts) if key == "if" else rewrite(item, contexts) for key, item in value.items()
        }
    if isinstance(value, list):
        return [rewrite(item, contexts) for item in value]
    if not isinstance(value, str):
        return value
    return _EXPRESSION.sub(lambda found: f"${{{{{_rewrite_expression(found[1], contexts)}}}}}", value)


def missing_members(value: Any) -> list[str]:
    """The members in expressions of a YAML value that act leaves empty, such as `github.repository_id`; sorted."""
    found: set[str] = set()
    for text in _expressions(value):
        for match in _TEXT_OR_NAME.finditer(text):
            context, step = (match["name"] or "").lower(), _STEP.match(text, match.end())
            name = (step["name"] or step["text"] or "").lower() if step else ""
            if name in _MEMBERS.get(context, ()) or (context == "strategy" and name in ("job-index", "job-total")):
                found.add(f"{context}.{name}")
    return sorted(found)


def _expressions(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        bare = [str(value["if"])] if isinstance(value.get("if"), str) else []
        return bare + [text for item in value.values() for text in _expressions(item)]
    if isinstance(value, list):
        return [text for item in value for text in _expressions(item)]
    return [found[1] for found in _EXPRESSION.finditer(value)] if isinstance(value, str) else []


def _condition(value: Any, contexts: Mapping[str, Any]) -> Any:
    """An `if:`, which is an expression also without `${{ }}`."""
    if not isinstance(value, str) or "${{" in value:
        return rewrite(value, contexts)
    return _rewrite_expression(value, contexts)


def _rewrite_expression(text: str, contexts: Mapping[str, Any]) -> str:
    parts: list[str] = []
    position = 0
    while found := _TEXT_OR_NAME.search(text, position):
        parts.append(text[position : found.start()])
        name = (found["name"] or "").lower()
        replaced = _replace(text, found.end(), name, contexts) if name in (*_WHOLE, *_MEMBERS) else None
        literal, position = replaced or (found[0], found.end())
        parts.append(literal)
    return "".join([*parts, text[position:]])


def _replace(text: str, end: int, name: str, contexts: Mapping[str, Any]) -> tuple[str, int] | None:
    """The literal for the context at `end` and its members, and where they end; None if act has the value."""
    if text[end:].lstrip().startswith("("):
        return None  # a function
    value = contexts.get(name, {})
    first = True
    while step := _STEP.match(text, end):
        if first and name in _MEMBERS and (step["name"] or step["text"] or "").lower() not in _MEMBERS[name]:
            return None
        first = False
        end = step.end()
        if step["all"]:
            value = Filtered(value.values() if isinstance(value, Mapping) else value or ())
        else:
            key = step["name"] or (int(step["index"]) if step["index"] else (step["text"] or "").replace("''", "'"))
            value = member(value, key)
    return None if first and name in _MEMBERS else (_literal(value), end)


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:.15g}"
    if isinstance(value, str):
        return f"'{_quoted(value)}'"
    return f"fromJSON('{_quoted(json.dumps(value, ensure_ascii=False))}')"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
