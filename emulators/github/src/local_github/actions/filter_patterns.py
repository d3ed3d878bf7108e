"""The patterns of `branches`, `tags` and `paths` filters, with the meaning that GitHub's table gives them.

They are not the shell's: `?` and `+` repeat the character before them, and `**` crosses slashes anywhere.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#filter-pattern-cheat-sheet
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from local_github.actions.workflow_file import WorkflowInvalid

_CLASS = re.compile(r"\[((?:[A-Za-z0-9](?:-[A-Za-z0-9])?)+)\]")


def selected(patterns: Sequence[str], value: str) -> bool:
    """Whether `patterns` select `value`: the last pattern that matches decides, `!` in front unselects."""
    chosen = False
    for pattern in patterns:
        if pattern.startswith("!"):
            chosen = chosen and not matches(pattern[1:], value)
        else:
            chosen = chosen or matches(pattern, value)
    return chosen


def matches(pattern: str, value: str) -> bool:
    """Whether all of `value` is what one `pattern`, without its `!`, describes; case counts."""
    return _compiled(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    atoms: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position) and (position == 0 or pattern[position - 1] == "/"):
            atoms.append("(?:.*/)?")  # any folders, or none
            position += 3
            continue
        if pattern.startswith("**", position):
            atoms.append(".*")
            position += 2
            continue
        if character in "?+":
            if not atoms:
                raise WorkflowInvalid(f"filter pattern {pattern!r}: nothing stands before the {character!r}")
            atoms[-1] = f"(?:{atoms[-1]}){character}"
        elif character == "*":
            atoms.append("[^/]*")
        elif character == "[":
            found = _CLASS.match(pattern, position)
            if found is None:
                raise WorkflowInvalid(f"filter pattern {pattern!r}: [] holds letters, digits and their ranges")
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
