"""The command `local-github`: `serve` runs the emulator in the foreground, `env` prints the variables for clients."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_github.actions.cron_scheduler import Scheduler
from local_github.actions.service import Actions
from local_github.client_environment import for_clients, for_gh, for_git
from local_github.server import LocalGitHub

_STATE_FILE = "server.json"
_USER = "local-user"
_POLL_SECONDS = 0.05


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = _parser().parse_args(arguments)
    if options.command == "serve":
        return _serve(options)
    return _print_environment(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local-github", description="An emulator of GitHub on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the emulator in the foreground until Ctrl-C or SIGTERM")
    serve.add_argument("--port", type=int, default=0, help="default: a free port")
    serve.add_argument("--repository", action="append", default=[], metavar="OWNER/NAME", help="create it; repeatable")
    serve.add_argument("--variable", action="append", default=[], metavar="NAME=VALUE", help="for all workflows")
    serve.add_argument("--secret", action="append", default=[], metavar="NAME", help="from this environment variable")
    serve.add_argument("--env", action="append", default=[], metavar="NAME=VALUE", help="for every step of a job")
    serve.add_argument("--no-schedules", action="store_true", help="do not start workflows by their `schedule:`")
    env = commands.add_parser("env", help='print the shell commands that set up clients: eval "$(local-github env)"')
    env.add_argument(
        "--wait", type=float, default=20, metavar="SECONDS", help="for the emulator to start (default: 20)"
    )
    for command in (serve, env):
        command.add_argument("--folder", type=Path, default=Path(".local-github"), help="default: .local-github")
    return parser


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder = options.folder.resolve()
    if running := _read_state(folder / _STATE_FILE, wait_seconds=0):
        sys.stderr.write(f"a GitHub emulator already runs in {folder}: {running['url']}, process {running['pid']}\n")
        return 1
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    github = LocalGitHub(folder, port=options.port, user=_USER)
    actions = Actions(
        folder / "actions",
        github.backend,
        variables=_pairs(options.variable),
        secrets={name: os.environ[name] for name in options.secret},
        environment=_pairs(options.env),
    )
    github.attach(actions)
    scheduler = Scheduler(actions.fire_due_schedules, github.state.clock)
    with github:
        for name in options.repository:
            github.create_repository(name)
        if not options.no_schedules:
            scheduler.start()
        _write_state(folder / _STATE_FILE, {"pid": os.getpid(), "url": github.url, "token": github.token(_USER)})
        sys.stdout.write(f"GitHub emulator at {github.url}, data in {folder}\n")
        sys.stdout.flush()
        stopped.wait()
        scheduler.stop()
        actions.close()
    (folder / _STATE_FILE).unlink(missing_ok=True)
    return 0


def _print_environment(options: argparse.Namespace) -> int:
    state = _read_state(options.folder / _STATE_FILE, options.wait)
    if state is None:
        sys.stderr.write(f"no GitHub emulator runs in {options.folder.resolve()}; start it with `local-github serve`\n")
        return 1
    url, token = state["url"], state["token"]
    for name, value in {**for_clients(url, token), **for_git(url, token)}.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in for_gh(url, token).items())
    sys.stdout.write(f'gh() {{ {variables} command gh "$@"; }}\n')
    return 0


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    return {name: value for name, _, value in (text.partition("=") for text in texts)}


def _write_state(path: Path, state: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)  # it contains a token
    partial.write_text(json.dumps(state) + "\n", "utf-8")
    partial.replace(path)


def _read_state(path: Path, wait_seconds: float) -> dict[str, Any] | None:
    """The state of a running emulator; waits for its start, None if there is none."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            state: dict[str, Any] = json.loads(path.read_text("utf-8"))
            os.kill(state["pid"], 0)
        except (FileNotFoundError, ProcessLookupError):
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_SECONDS)  # polls another process: there is no event to wait for
        else:
            return state
