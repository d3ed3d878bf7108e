"""Child processes that never outlive the local cloud: model servers, Lambda runtimes, whatever it starts.

Each child leads a session of its own, so that ending it ends its descendants. A reaper process
(`local_aws.orphan_reaper`) holds the other end of a pipe. When the emulator is gone, the pipe closes and the reaper
ends what is left. Nothing here knows what the children do.
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

INSTANCE = "FRAUDOPS_LOCAL_INSTANCE"
"""Set in the environment of every child to the folder of its local cloud, so that strays can be told apart."""


class Processes:
    """Starts and ends the children of one local cloud."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._alive: dict[int, subprocess.Popen[Any]] = {}
        self._reaper: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-m", "local_aws.orphan_reaper", str(folder)],
            stdin=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
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
        """A new child in `cwd` with exactly `environment`; OSError where the program cannot be started."""
        child = subprocess.Popen(
            list(command),
            cwd=cwd,
            env={**environment, INSTANCE: str(self._folder)},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        with self._lock:
            self._alive[child.pid] = child
            self._tell(f"+{child.pid}\n")
        return child

    def end(self, child: subprocess.Popen[Any], grace_seconds: float = 3.0) -> None:
        """Ends `child` and its descendants: SIGTERM, then SIGKILL for what is left after the grace. Idempotent."""
        if child.poll() is None:
            _signal(child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):  # the SIGKILL below is the answer to that
                child.wait(grace_seconds)
        _signal(child.pid, signal.SIGKILL)
        child.wait()
        with self._lock:
            if self._alive.pop(child.pid, None) is not None:
                self._tell(f"-{child.pid}\n")

    def close(self) -> None:
        """Ends every child and the reaper."""
        with self._lock:
            children = list(self._alive.values())
        for child in children:
            self.end(child)
        with self._lock:
            reaper, self._reaper = self._reaper, None
        if reaper is not None and reaper.stdin is not None:
            reaper.stdin.close()
            reaper.wait(10)

    def _tell(self, line: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a killed reaper must not stop the cloud
                self._reaper.stdin.write(line.encode())
                self._reaper.stdin.flush()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is gone, or only zombies are left
        os.killpg(group, number)


def end_strays(folder: Path, pids: Sequence[int] = ()) -> list[int]:
    """Kills what a dead local cloud in `folder` left behind, and the groups led by `pids`; returns what it killed.

    A stray is a process that inherited the folder's mark in its environment.
    """
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    strays = []
    for process in psutil.process_iter():
        if process.pid not in mine and (process.pid in pids or _belongs(process, folder)):
            strays.append(process)
    for process in strays:
        _signal(process.pid, signal.SIGKILL)  # does nothing where the stray leads no group
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(strays, timeout=5)
    return [process.pid for process in strays]


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get(INSTANCE) == str(folder)
    except (psutil.Error, OSError):  # another user's process, or one that has just ended
        return False
