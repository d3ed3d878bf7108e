"""A violated rule of model-config/, with its place. Decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ml import config


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A violated rule; the message says what, where, and what to do."""

    path: Path
    message: str
    line: int | None = None


def at(root: Path, path: Path, field: str, message: str) -> Problem:
    """A problem of a top-level `field` of the file at `path` below `root`, with the field's line."""
    return Problem(path=path, line=line_of(root, path, field), message=f"{path}: {field} {message}")


def line_of(root: Path, path: Path, *field: str) -> int | None:
    """The line of a field of the file at `path` below `root`; None if the file cannot be read."""
    try:
        return config.line_of((root / path).read_text(encoding="utf-8"), field)
    except (OSError, UnicodeDecodeError, config.YamlInvalid):
        return None
