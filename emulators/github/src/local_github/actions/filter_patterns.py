"""Matches the patterns of `branches`, `tags` and `paths` filters by translating them to regular expressions.

They are not shell patterns: `?` and `+` are quantifiers of the preceding character, and `**` matches slashes anywhere.
No glob library has these rules (wcmatch was checked), so the translation is kept here.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from local_github.actions.workflow_file import WorkflowInvalid

_CLASS = re.compile(r"\[((?:[A-Za-z0-9](?:-[A-Za-z0-9])?)+)\]")


def selects(patterns: Sequence[str], value: str) -> bool:
    """Whether `patterns` select `value`: the last matching pattern decides; `!` excludes."""
    included = False
    for pattern in patterns:
        if pattern.startswith("!"):
            included = included and not matches(pattern[1:], value)
        else:
            included = included or matches(pattern, value)
    return included


def matches(pattern: str, value: str) -> bool:
    """Whether one pattern, without its `!`, matches all of `value`; case-sensitive."""
    return _compiled(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    atoms: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position) and (position == 0 or pattern[position - 1] == "/"):
            atoms.append("(?:.*/)?")  # any number of folders
            position += 3
            continue
        if pattern.startswith("**", position):
            atoms.append(".*")
            position += 2
            continue
        if character in "?+":
            if not atoms:
                raise WorkflowInvalid(f"filter pattern {pattern!r}: no character before {character!r}")
            atoms[-1] = f"(?:{atoms[-1]}){character}"
        elif character == "*":
            atoms.append("[^/]*")
        elif character == "[":
            found = _CLASS.match(pattern, position)
            if found is None:
                raise WorkflowInvalid(f"filter pattern {pattern!r}: [] must contain letters, digits and ranges of them")
            atoms.append(found[0])
            position = found.end()
            continue
        elif character == "\\" and position + 1 < len(pattern):
            position += 1
            atoms.append(re.escape(pattern[position]))
        else:
            atoms.append(re.escape(character))
        position += 1
    try:
        return re.compile("".join(atoms), re.DOTALL)
    except re.error as error:
        raise WorkflowInvalid(f"filter pattern {pattern!r}: {error}") from error
