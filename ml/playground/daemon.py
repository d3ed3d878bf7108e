"""The local clouds, AWS and GitHub, as a process of their own: up, down, status. One folder is one pair.

The folder's state file says where it is; the process's start time says whether that is still true, so that a number
that another process has since been given is never mistaken for it.
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
    """A local cloud as its folder tells it. `url`, `port` and `pid` are None where it does not run."""

    running: bool
    folder: Path
    logs: Path
    url: str | None = None
    port: int | None = None
    pid: int | None = None
    github: str | None = None
    """Where its GitHub is: pages, repositories, and the API below /api/v3."""
    ended: int = 0
    """How many processes `down` had to end beside the cloud's own, which a cloud that crashed leaves behind."""


def up(folder: Path = FOLDER, *, port: int = 0, caller_arn: str | None = None) -> Status:
    """Starts a local cloud in `folder` that goes on when the caller has ended; returns once it answers.

    Raises:
        CloudError: one runs there already, or it did not come up; the message quotes the log.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        found = status(folder)
        if found.running:
            raise CloudError(
                f"the local cloud is up already at {found.url} (process {found.pid}, {folder}); "
                "use it, or end it with `fraudops local down`"
            )
        end_strays(folder)
        found.logs.mkdir(exist_ok=True)
        log = found.logs / "daemon.log"
        images = Path.cwd() / "local-images.yaml"  # what images' own programs are mapped to; may be absent
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
                # Popen objects of running children warn when they are dropped; this one is meant to outlive us.
                process.returncode = 0
                return found
            if process.poll() is not None:
                raise CloudError(f"the local cloud ended while it started ({_last_line(log)}); see {log}")
            time.sleep(0.02)  # between two looks at another process: there is no event to wait for
        process.kill()
        process.wait()
        raise CloudError(f"the local cloud did not come up within {_UP_SECONDS} s ({_last_line(log)}); see {log}")


def down(folder: Path = FOLDER) -> Status:
    """Ends the local cloud in `folder` and everything it started, or what a crashed one left; forgets its state."""
    folder = folder.resolve()
    if not folder.exists():
        return Status(running=False, folder=folder, logs=folder / "logs")
    with _only_one(folder):
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
    """Whether a local cloud runs in `folder`, and where."""
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
    """The variables that lead boto3 and GitHub's clients to the clouds in `folder`; CloudError where none run."""
    found = status(folder)
    state = _state(found.folder)
    if not found.running or state is None:
        raise CloudError(f"no local cloud runs in {found.folder}; start one with `fraudops local up`")
    variables: dict[str, str] = state["environment"]
    return variables


def exports(folder: Path = FOLDER) -> str:
    """The same as lines for a shell: export NAME=VALUE, and `gh` as a function that speaks to the local GitHub."""
    variables = environment(folder)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    own = " ".join(f"{name}={shlex.quote(value)}" for name, value in gh_environment(folder).items())
    return "\n".join([*lines, f'gh() {{ {own} command gh "$@"; }}'])


def gh_environment(folder: Path = FOLDER) -> dict[str, str]:
    """The variables for the `gh` command alone: its proxy would catch other programs' traffic."""
    from local_github.client_environment import for_gh

    variables = environment(folder)
    return for_gh(variables["GITHUB_SERVER_URL"], variables["GITHUB_TOKEN"])


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file is closed, also by a crash
        yield


def _state(folder: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads((folder / _STATE).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CloudError(
            f"{folder / _STATE}: not JSON; end the cloud with `fraudops local down`, or remove the file"
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
    return lines[-1] if lines else "it said nothing"


def main(arguments: Sequence[str]) -> int:
    """The process itself: FOLDER PORT CALLER_ARN IMAGES. Serves until SIGTERM or SIGINT."""
    import logging

    from local_aws.server import CALLER

    from ml.playground.environment import LocalClouds

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, port, caller_arn = Path(arguments[0]), int(arguments[1]), arguments[2] or CALLER
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    clouds = LocalClouds(folder, port=port, caller_arn=caller_arn, images=Path(arguments[3]), schedules=True)
    try:
        clouds.start()
    except CloudError as error:
        logging.error("%s", error)  # noqa: TRY400 - the message is the whole story
        return error.exit_code
    me = psutil.Process()
    state = {
        "pid": me.pid,
        "created": me.create_time(),
        "port": int(clouds.aws.url.rsplit(":", 1)[1]),
        "url": clouds.aws.url,
        "environment": clouds.environment(),
    }
    fresh = folder / f".{_STATE}.{os.getpid()}"
    fresh.touch(mode=0o600)  # it holds a token
    fresh.write_text(json.dumps(state, indent=2) + "\n", "utf-8")
    fresh.replace(folder / _STATE)
    ended.wait()
    clouds.stop()
    (folder / _STATE).unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
