"""Parses diffs into lines with their old and new line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from local_github.git.bare_repository import BareRepository
from local_github.git.output_parser import Change

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_SHOWN_LINES = 600  # per file, so that pages stay small


@dataclass(frozen=True)
class Line:
    """A line of a diff; `kind` is hunk, added, removed, context or note."""

    kind: str
    before: int | None
    after: int | None
    text: str


@dataclass(frozen=True)
class FileDiff:
    """A changed file; `omitted` counts the lines that are not diffs."""

    change: Change
    lines: list[Line]
    omitted: int


def diff_files(git: BareRepository, before: str, after: str) -> list[FileDiff]:
    """The changed files between two commits or trees."""
    diffs = []
    for change, patch in zip(git.changes(before, after), git.patches(before, after), strict=True):
        lines = list(_lines(patch))
        diffs.append(FileDiff(change, lines[:_SHOWN_LINES], max(len(lines) - _SHOWN_LINES, 0)))
    return diffs


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
