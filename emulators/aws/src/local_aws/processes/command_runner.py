"""Runs one command with a time limit and ends all of its processes."""

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
_KILL_WAIT_SECONDS = 10


class EndReason(Enum):
    """Why a command ended."""

    EXITED = "exited"
    STOPPED = "stopped"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class CommandResult:
    """How a command ended; `code` is negative for a signal, as in subprocess."""

    reason: EndReason
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
) -> CommandResult:
    """Runs `command` and appends its output to `log`; none of its processes is left when this returns.

    `stop` or the time limit ends it: SIGTERM to all of its processes, SIGKILL after `grace_seconds`.

    Raises:
        OSError: the program cannot be started.
    """
    deadline = time.monotonic() + limit_seconds
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    reason = EndReason.EXITED
    try:
        while process.poll() is None:
            if stop.is_set():
                reason = EndReason.STOPPED
                break
            if time.monotonic() >= deadline:
                reason = EndReason.TIMED_OUT
                break
            with contextlib.suppress(subprocess.TimeoutExpired):  # still running: the loop checks its limits again
                process.wait(_POLL_SECONDS)
    finally:
        _end(process, grace_seconds)
    return CommandResult(reason, process.returncode)


def _end(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """Ends the process, its group, which outlives it, and descendants that left the group."""
    descendants = _descendants(process)
    if process.poll() is None:
        _signal(process, descendants, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):  # SIGKILL follows
            process.wait(grace_seconds)
        descendants += _descendants(process)
    _signal(process, descendants, signal.SIGKILL)
    process.wait()
    psutil.wait_procs(descendants, timeout=_KILL_WAIT_SECONDS)  # they exist until init has collected them


def _descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(process: subprocess.Popen[bytes], others: Sequence[psutil.Process], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group has ended, or only zombies are left
        os.killpg(process.pid, number)
    for other in others:
        with contextlib.suppress(psutil.NoSuchProcess):  # it has ended by itself
            other.send_signal(number)  # psutil checks that the id was not reused
