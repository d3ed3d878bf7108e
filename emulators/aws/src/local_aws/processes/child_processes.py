"""Starts child processes that never outlive the emulator: model servers and Lambda execution environments.

Each child leads its own session, so that ending it ends its descendants. A reaper process
(`local_aws.processes.orphan_reaper`) holds the other end of a pipe. When the emulator ends, even by SIGKILL, the pipe
closes and the reaper ends the remaining children. Nothing here knows what the children do.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

INSTANCE_VARIABLE = "LOCAL_AWS_INSTANCE"
"""Environment variable of every child: the folder of its emulator. It identifies orphans."""


class ChildProcesses:
    """Starts and ends the children of one emulator."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._running: dict[int, subprocess.Popen[Any]] = {}
        self._reaper: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-m", "local_aws.processes.orphan_reaper", str(folder)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        stdin: int | IO[Any] = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.DEVNULL,
        stderr: int | IO[Any] = subprocess.STDOUT,
    ) -> subprocess.Popen[bytes]:
        """Starts a child in `cwd` with exactly `environment`; OSError if the program cannot be started."""
        child = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**environment, INSTANCE_VARIABLE: str(self._folder)},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        with self._lock:
            self._running[child.pid] = child
            self._notify_reaper(f"+{child.pid}\n")
        return child

    def end(self, child: subprocess.Popen[Any], grace_seconds: float = 3.0) -> None:
        """Ends `child` and its descendants: SIGTERM, then SIGKILL after `grace_seconds`. Idempotent."""
        if child.poll() is None:
            _signal_group(child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # SIGKILL follows
                child.wait(grace_seconds)
        _signal_group(child.pid, signal.SIGKILL)
        child.wait()
        with self._lock:
            if self._running.pop(child.pid, None) is not None:
                self._notify_reaper(f"-{child.pid}\n")

    def close(self) -> None:
        """Ends every child and the reaper."""
        with self._lock:
            children = list(self._running.values())
        for child in children:
            self.end(child)
        with self._lock:
            reaper, self._reaper = self._reaper, None
        if reaper is not None and reaper.stdin is not None:
            reaper.stdin.close()
            reaper.wait(10)

    def _notify_reaper(self, line: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a killed reaper must not stop the emulator
                self._reaper.stdin.write(line.encode())
                self._reaper.stdin.flush()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group has ended, or only zombies are left
        os.killpg(group, number)


def end_orphans(folder: Path, pids: Sequence[int] = ()) -> list[int]:
    """Kills the processes that an ended emulator in `folder` left, and the groups led by `pids`; returns their ids.

    An orphan is a process whose environment has INSTANCE_VARIABLE set to `folder`.
    """
    own = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    orphans = []
    for process in psutil.process_iter():
        if process.pid not in own and (process.pid in pids or _belongs_to(process, folder)):
            orphans.append(process)
    for process in orphans:
        _signal_group(process.pid, signal.SIGKILL)  # does nothing if the process leads no group
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(orphans, timeout=5)
    return [process.pid for process in orphans]


def _belongs_to(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get(INSTANCE_VARIABLE) == str(folder)
    except (psutil.Error, OSError):  # another user's process, or one that has just ended
        return False
