"""One background process per folder: starts it, finds it again and stops it through the folder's state file.

The state file records the process id and start time. Both must match a live process, so that a process id that the
system has reused is never taken for the daemon. Knows nothing of what the process serves.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from local_aws.errors import EmulatorError
from local_aws.processes.child_processes import end_orphans

_STATE_FILE = "state.json"
_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class State:
    """A running daemon: its process, its address, and the variables that point clients to it."""

    pid: int
    created: float
    """The start time of the process, in seconds since the epoch."""
    url: str
    environment: dict[str, str]

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self.url.rsplit(":", 1)[1])


class Daemon:
    """The background process of one folder. `title` and `command` name it in messages."""

    def __init__(self, folder: Path, *, title: str = "AWS emulator", command: str = "local-aws") -> None:
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self._title, self._command = title, command

    def start(self, arguments: Sequence[str], *, cwd: Path) -> State:
        """Starts the process `arguments` in the background; returns once it has published its state.

        Raises:
            EmulatorError: one already runs in the folder, or the process did not start; the message quotes the log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if state := self.state():
                raise EmulatorError(
                    f"{self._title}: already up at {state.url} (process {state.pid}, {self.folder}); "
                    f"to stop, run `{self._command} down`"
                )
            end_orphans(self.folder)
            self.logs.mkdir(exist_ok=True)
            log = self.logs / "daemon.log"
            with log.open("ab") as output:
                process = subprocess.Popen(
                    list(arguments),
                    cwd=cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            return self._wait_for_state(process, log)

    def stop(self) -> int:
        """Stops the process and everything it started; returns how many orphans of a crashed one were killed."""
        if not self.folder.exists():
            return 0
        with self._lock():
            process = self._process()
            if process is not None:
                with suppress(psutil.NoSuchProcess):  # it has ended by itself
                    process.terminate()
                    with suppress(psutil.TimeoutExpired):  # SIGKILL follows
                        process.wait(_STOP_SECONDS)
                    process.kill()
                    process.wait(5)
            orphans = end_orphans(self.folder)
            (self.folder / _STATE_FILE).unlink(missing_ok=True)
        return len(orphans)

    def state(self) -> State | None:
        """The running daemon; None if none runs in the folder."""
        state = self._read_state()
        return state if state is not None and self._process() is not None else None

    def environment(self) -> dict[str, str]:
        """The variables that point clients to the running daemon; EmulatorError if none runs."""
        state = self.state()
        if state is None:
            raise EmulatorError(f"{self._title}: not running in {self.folder}; to start, run `{self._command} up`")
        return state.environment

    def _wait_for_state(self, process: subprocess.Popen[bytes], log: Path) -> State:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            state = self.state()
            if state is not None and state.pid == process.pid:
                # Popen warns when the object of a running child is dropped; this child is meant to outlive it.
                process.returncode = 0
                return state
            if process.poll() is not None:
                raise EmulatorError(f"{self._title}: failed to start ({_last_line(log)}); see {log}")
            time.sleep(0.02)  # polls another process: there is no event to wait for
        process.kill()
        process.wait()
        raise EmulatorError(f"{self._title}: not up after {_START_SECONDS} s ({_last_line(log)}); see {log}")

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
            yield

    def _read_state(self) -> State | None:
        path = self.folder / _STATE_FILE
        try:
            return State(**json.loads(path.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise EmulatorError(f"{path}: not a state file; remove it, then run `{self._command} up`") from error

    def _process(self) -> psutil.Process | None:
        state = self._read_state()
        if state is None:
            return None
        try:
            process = psutil.Process(state.pid)
            same = abs(process.create_time() - state.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None


def termination_event() -> threading.Event:
    """An event that SIGTERM and SIGINT set; to be called in the main thread of the daemon."""
    event = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: event.set())
    return event


@contextmanager
def published_state(folder: Path, *, url: str, environment: Mapping[str, str]) -> Iterator[State]:
    """Publishes this process as the daemon of `folder`, for the length of the block."""
    process = psutil.Process()
    state = State(pid=process.pid, created=process.create_time(), url=url, environment=dict(environment))
    path = folder / _STATE_FILE
    partial = folder / f".{_STATE_FILE}.{os.getpid()}"
    partial.touch(mode=0o600)  # the environment may hold a token
    partial.write_text(json.dumps(asdict(state), indent=2) + "\n", "utf-8")
    partial.replace(path)
    try:
        yield state
    finally:
        path.unlink(missing_ok=True)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "its log is empty"
