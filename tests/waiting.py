"""Waits for a condition in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def wait_until(check: Callable[[], Any], attempts: int = 3000, pause_seconds: float = 0.02) -> Any:
    """Calls `check` until its result is true and returns it; AssertionError after `attempts` calls.

    The conditions are states of other processes and threads that send no event to the test (files, process tables,
    answers of an API), so they are polled. The limit counts calls: load on the machine makes each of them slower and
    does not use them up. pytest's timeout ends a test whose condition never returns.
    """
    for _ in range(attempts):
        if result := check():
            return result
        time.sleep(pause_seconds)
    raise AssertionError(f"not true after {attempts} attempts: {check}")
