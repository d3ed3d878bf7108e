"""Differences as lines to show: each with its numbers before and after, and what became of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from local_github.git.bare_repository import Bare, Change

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_MOST_LINES = 600  # of one file; more would make a page that nobody reads and few browsers like


@dataclass(frozen=True)
class Line:
    """A line of a difference; `kind` is hunk, added, removed, context or note."""

    kind: str
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True)
class File:
    """A file of a difference. `left_out` counts the lines beyond what a page shows."""

    change: Change
    lines: list[Line]
    left_out: int


def files(git: Bare, before: str, after: str) -> list[File]:
    """The files that differ between two commits or trees."""
    shown = []
    for change, patch in zip(git.changes(before, after), git.patches(before, after), strict=True):
        lines = list(_lines(patch))
        shown.append(File(change, lines[:_MOST_LINES], max(len(lines) - _MOST_LINES, 0)))
    return shown


def _lines(patch: str) -> Iterator[Line]:
    before = after = 0
    for text in patch.rstrip("\n").split("\n") if patch else ():
        hunk = _HUNK.match(text)
        if hunk:
            before, after = int(hunk[1]), int(hunk[2])
            yield Line("hunk", None, None, text)
        elif text.startswith("+"):
            yield Line("added", None, after, text[1:])
            after += 1
        elif text.startswith("-"):
            yield Line("removed", before, None, text[1:])
            before += 1
        elif text.startswith("\\"):
            yield Line("note", None, None, text[2:])
        else:
            yield Line("context", before, after, text[1:])
            before, after = before + 1, after + 1
