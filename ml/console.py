"""Progress on standard error, so that standard output holds results only."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

err = Console(stderr=True, highlight=False, soft_wrap=True)
# Off a terminal (a log, a pipe) nothing is folded to the 80 columns that a terminal of unknown width would get.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
_COMMAND = re.compile(r"(?m)^(\s*)::")  # GitHub's runner obeys lines that begin so, on standard error too


def note(message: str) -> None:
    """Prints progress to standard error; words of others that it quotes give the runner of a workflow no commands."""
    err.print(_COMMAND.sub(r"\1│ ::", message), markup=False)


def command(line: str) -> None:
    """Prints what the runner of a workflow is to obey, such as an annotation; nothing of others is in it unescaped."""
    err.print(line, markup=False)


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Shows `label` with a spinner on a terminal (a plain line elsewhere), then how long the stage took."""
    start = time.perf_counter()
    if err.is_terminal:
        with err.status(label):
            yield
    else:
        note(f"… {label}")
        yield
    note(f"✓ {label} ({time.perf_counter() - start:.1f} s)")
