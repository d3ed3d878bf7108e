"""Runs a command on one core: `python on_core.py CORE COMMAND...`. Where the system cannot do so, on all cores."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(sys.argv[1])})
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - replaces this process, so that signals reach the command
