"""What people see while a verb works: progress on standard error, so that standard output stays for results."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)


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
