"""Prints progress and workflow commands on standard error, so that standard output has results only."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

err = Console(stderr=True, highlight=False, soft_wrap=True)
# In a log or a pipe rich would wrap lines at 80 columns, its default for an unknown width.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_COMMAND = re.compile(r"(?m)^(\s*)::")  # GitHub's runner executes such lines as commands, also on standard error


def note(message: str) -> None:
    """Prints progress to standard error. Escapes workflow commands, because messages may quote untrusted input."""
    err.print(_COMMAND.sub(r"\1│ ::", message), markup=False)


def command(line: str) -> None:
    """Prints a workflow command for GitHub's runner, such as an annotation. The caller escapes untrusted input."""
    err.print(line, markup=False)


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Shows `label` with a spinner on a terminal (a plain line elsewhere), then the duration."""
    start = time.perf_counter()
    if err.is_terminal:
        with err.status(label):
            yield
    else:
        note(f"… {label}")
        yield
    note(f"✓ {label} ({time.perf_counter() - start:.1f} s)")
