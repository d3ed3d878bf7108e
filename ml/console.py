"""What people see while a verb works: progress on standard error, so that standard output stays for results."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

err = Console(stderr=True, highlight=False, soft_wrap=True)
# Off a terminal (a log, a pipe) nothing is folded to the 80 columns that a terminal of unknown width would get.
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def note(message: str) -> None:
    """Prints one line of progress to standard error."""
    err.print(message, markup=False)


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
