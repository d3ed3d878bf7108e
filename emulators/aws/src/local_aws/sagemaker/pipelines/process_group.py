"""Runs a command in a process group of its own and ends everything that it started, whatever the reason."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

_POLL_SECONDS = 0.05
_GONE_SECONDS = 10


class Ending(Enum):
    """Why a process ended."""

    EXITED = "exited"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Ended:
    """How a process ended; `code` is negative for a signal, as in subprocess."""

    how: Ending
    code: int


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    stop: threading.Event,
    limit_seconds: float,
    grace_seconds: float,
) -> Ended:
    """Runs `command` to its end, its output appended to `log`; returns with no process of it left.

    `stop` or the limit ends it: SIGTERM to all of its processes, SIGKILL after `grace_seconds`.

    Raises:
        OSError: the program cannot be started.
    """
    deadline = time.monotonic() + limit_seconds
    with log.open("ab") as sink:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    how = Ending.EXITED
    try:
        while process.poll() is None:
            if stop.is_set():
                how = Ending.STOPPED
                break
            if time.monotonic() >= deadline:
                how = Ending.TIMED_OUT
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
    finally:
        _end(process, grace_seconds)
    return Ended(how, process.returncode)


def _end(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Ends the process, its group (which outlives it) and its descendants that left the group."""
    strays = _descendants(process)
    if process.poll() is None:
        _signal(process, strays, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
        strays += _descendants(process)
    _signal(process, strays, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(strays, timeout=_GONE_SECONDS)  # a killed one is there until whoever took it over has seen it


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: subprocess.Popen[bytes], others: Sequence[psutil.Process], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
    for other in others:
        with contextlib.suppress(psutil.NoSuchProcess):
            other.send_signal(number)  # psutil checks that the id was not reused
