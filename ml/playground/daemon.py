"""Runs both emulators as a background process: up, down, status. Each folder has its own pair.

The folder's state file has the process's id and start time; the start time shows whether another process has reused
the id.
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from local_aws.child_processes import end_strays

from ml.errors import CloudError

FOLDER = Path(".fraudops/local")
_STATE = "state.json"
_UP_SECONDS = 60
_DOWN_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Status:
    """The state of the emulators of a folder. `url`, `port` and `pid` are None if they do not run."""

    running: bool
    folder: Path
    logs: Path
    url: str | None = None
    port: int | None = None
    pid: int | None = None
    github: str | None = None
    """URL of the GitHub emulator; its API is below /api/v3."""
    ended: int = 0
    """Number of processes left by a crash that `down` stopped."""


def up(folder: Path = FOLDER, *, port: int = 0, caller_arn: str | None = None) -> Status:
    """Starts the emulators of `folder` in the background; returns once they respond.

    Raises:
        CloudError: they already run there, or did not start; the message quotes the log.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        found = status(folder)
        if found.running:
            raise CloudError(
                f"the emulators already run at {found.url} (process {found.pid}, {folder}); "
                "use them, or stop them with `fraudops local down`"
            )
        end_strays(folder)
        found.logs.mkdir(exist_ok=True)
        log = found.logs / "daemon.log"
        images = Path.cwd() / "local-images.yaml"  # maps images to local programs; may be absent
        command = [sys.executable, "-m", "ml.playground.daemon", str(folder), str(port), caller_arn or "", str(images)]
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _UP_SECONDS
        while time.monotonic() < deadline:
            found = status(folder)
            if found.running and found.pid == process.pid:
                # Popen warns when it is dropped while its child runs; this child is meant to outlive this process.
                process.returncode = 0
                return found
            if process.poll() is not None:
                raise CloudError(f"the emulators stopped while starting ({_last_line(log)}); see {log}")
            time.sleep(0.02)  # polls: another process signals no event
        process.kill()
        process.wait()
        raise CloudError(f"the emulators did not start within {_UP_SECONDS} s ({_last_line(log)}); see {log}")


def down(folder: Path = FOLDER) -> Status:
    """Stops the emulators of `folder` and all their processes, also after a crash; deletes the state file."""
    folder = folder.resolve()
    if not folder.exists():
        return Status(running=False, folder=folder, logs=folder / "logs")
    with _locked(folder):
        process = _process(folder)
        if process is not None:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
                with suppress(psutil.TimeoutExpired):
                    process.wait(_DOWN_SECONDS)
                process.kill()
                process.wait(5)
        ended = end_strays(folder)
        (folder / _STATE).unlink(missing_ok=True)
    return Status(running=False, folder=folder, logs=folder / "logs", ended=len(ended))


def status(folder: Path = FOLDER) -> Status:
    """Whether the emulators of `folder` run, and where."""
    folder = folder.resolve()
    state, process = _state(folder), _process(folder)
    if process is None or state is None:
        return Status(running=False, folder=folder, logs=folder / "logs")
    return Status(
        running=True,
        folder=folder,
        logs=folder / "logs",
        url=state["url"],
        port=state["port"],
        pid=process.pid,
        github=state["environment"]["GITHUB_SERVER_URL"],
    )


def environment(folder: Path = FOLDER) -> dict[str, str]:
    """The variables that direct boto3 and GitHub clients to the emulators; CloudError if they do not run."""
    found = status(folder)
    state = _state(found.folder)
    if not found.running or state is None:
        raise CloudError(f"no emulators run in {found.folder}; start them with `fraudops local up`")
    variables: dict[str, str] = state["environment"]
    return variables


def exports(folder: Path = FOLDER) -> str:
    """The same as shell lines: export NAME=VALUE, and `gh` as a function that uses the GitHub emulator."""
    variables = environment(folder)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    own = " ".join(f"{name}={shlex.quote(value)}" for name, value in gh_environment(folder).items())
    return "\n".join([*lines, f'gh() {{ {own} command gh "$@"; }}'])


def gh_environment(folder: Path = FOLDER) -> dict[str, str]:
    """The variables for the `gh` command only: its proxy would redirect other programs."""
    from local_github.client_environment import for_gh

    variables = environment(folder)
    return for_gh(variables["GITHUB_SERVER_URL"], variables["GITHUB_TOKEN"])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, also by a crash
        yield


def _state(folder: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads((folder / _STATE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CloudError(
            f"{folder / _STATE}: not JSON; stop the emulators with `fraudops local down`, or remove the file"
        ) from error
    return document


def _process(folder: Path) -> psutil.Process | None:
    state = _state(folder)
    if state is None:
        return None
    try:
        process = psutil.Process(state["pid"])
        same = abs(process.create_time() - state["created"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if same else None


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def main(arguments: Sequence[str]) -> int:
    """The background process: FOLDER PORT CALLER_ARN IMAGES. Runs until SIGTERM or SIGINT."""
    import logging

    from local_aws.server import CALLER

    from ml.playground.environment import Emulators

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, port, caller_arn = Path(arguments[0]), int(arguments[1]), arguments[2] or CALLER
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    emulators = Emulators(folder, port=port, caller_arn=caller_arn, images=Path(arguments[3]), schedules=True)
    try:
        emulators.start()
    except CloudError as error:
        logging.error("%s", error)  # noqa: TRY400 - the message is complete without a traceback
        return error.exit_code
    me = psutil.Process()
    state = {
        "pid": me.pid,
        "created": me.create_time(),
        "port": int(emulators.aws.url.rsplit(":", 1)[1]),
        "url": emulators.aws.url,
        "environment": emulators.environment(),
    }
    fresh = folder / f".{_STATE}.{os.getpid()}"
    fresh.touch(mode=0o600)  # it holds a token
    fresh.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
    fresh.replace(folder / _STATE)
    ended.wait()
    emulators.stop()
    (folder / _STATE).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
