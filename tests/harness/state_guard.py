"""Notices tests that read this repository's own model-config/, which is state and not product; not a test itself.

A test that expects a value of it fails in a repository with other gates, columns or approvals. Tests use the shipped
state instead (`ml.playground.template_state`, `tests.harness.git.checkout`). Reads by other processes are not noticed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from ml.playground import template_state

ROOT = Path(__file__).resolve().parents[2]
_STATE = f"{ROOT / template_state.STATE}{os.sep}"
_TESTS = f"{ROOT / 'tests'}{os.sep}"
_OWN = (__file__, f"{_TESTS}conftest.py")
_reads: list[str] = []


def install() -> None:
    """Starts to notice reads in this process, by Python's audit events; that cannot be undone."""
    sys.addaudithook(_note)


def take() -> list[str]:
    """What was read since the last call, each with the line of the test or harness that asked for it."""
    found = list(dict.fromkeys(_reads))
    _reads.clear()
    return found


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    # Every audit event of the process comes here: the cheap tests are first.
    if event != "open" or not isinstance(arguments[0], str) or template_state.STATE.name not in arguments[0]:
        return
    path = os.path.abspath(arguments[0])  # noqa: PTH100 - as given: links are not followed
    if path.startswith(_STATE) and not template_state.is_kept(Path(path)):
        _reads.append(f"{Path(path).relative_to(ROOT)}, read by {_caller()}")


def _caller() -> str:
    """File and line of the innermost frame below tests/ that is neither this module nor conftest.py."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_TESTS) and name not in _OWN:
            return f"{Path(name).relative_to(ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return "the product"
