"""Creates and caches the virtual environment of a lock, for the setup action.

The setup action runs this before anything is installed, so it imports the standard library only. An image or a laptop's
runner that provides an environment in advance gets its name from `key`, so that both agree.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOCKS = ("core", "run", "dev")
_STAMP = "complete"
"""Written last into an environment. An environment without it is incomplete and is created again."""
_EXPORTED = ("AWS_REGION", "FRAUDOPS_STACK", "FRAUDOPS_ROLE_ARN", "FRAUDOPS_SESSION_POLICY")
_SHIM = """\
#!{python}
from ml.cli import main

main()
"""


class SetupFailed(Exception):
    """The environment cannot be created or linked; the message says why."""


def key(lock: Path) -> str:
    """The name of the environment of `lock` for the running Python: 16 hex digits of the sha256 of both.

    The key includes the full version, because an environment refers to its interpreter by path, and the architecture.
    """
    python = f"{sys.implementation.name}-{platform.python_version()}-{platform.machine()}"
    return hashlib.sha256(lock.read_bytes() + b"\n" + python.encode()).hexdigest()[:16]


def folder(lock: Path, tools: Path) -> Path:
    """The folder of the environment of `lock` below `tools`, a runner's RUNNER_TOOL_CACHE."""
    return tools / "fraudops" / key(lock)


def is_complete(environment: Path) -> bool:
    """Whether the environment is complete. Of a linked environment only the interpreter is checked."""
    if environment.is_symlink():
        return (environment / "bin/python").exists()
    return (environment / _STAMP).is_file()


def create(environment: Path, lock: Path) -> None:
    """Creates the environment with the pins of `lock`, verified by hash, and the command `fraudops`.

    Raises:
        SetupFailed: neither uv nor pip could install the lock; the environment stays incomplete.
    """
    import venv  # here, because it takes as long as the rest, and most jobs find their environment

    from ml import lock_installer

    (environment / _STAMP).unlink(missing_ok=True)
    python = environment / "bin/python"
    try:
        venv.create(environment, with_pip=True, clear=True)
        lock_installer.install(environment, [lock], tools=environment.parent)
    except lock_installer.InstallFailed as error:
        raise SetupFailed(str(error)) from error
    command = environment / "bin/fraudops"
    command.write_text(_SHIM.format(python=python), encoding="utf-8")
    command.chmod(0o755)
    (environment / _STAMP).write_text(f"{lock.name}\n", encoding="utf-8")


def exported(environment: Path, workspace: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The variables for later steps: the non-empty `values`, and PYTHONPATH, which puts the checkout's code first."""
    for name, value in values.items():
        if value.splitlines() not in ([], [value]):
            raise SetupFailed(f"{name} must be one line (got {value!r})")
    given = {name: value for name, value in values.items() if value}
    return {"PYTHONPATH": str(workspace), "VIRTUAL_ENV": str(environment), **given}


def link(environment: Path, at: Path) -> None:
    """Creates a link to the environment at `at`, for tools that expect one there."""
    if at.is_symlink():
        at.unlink()
    if at.exists():
        raise SetupFailed(f"{at} exists and is not a link; remove it")
    at.symlink_to(environment, target_is_directory=True)


def main(arguments: list[str] | None = None) -> int:
    """`find` outputs the environment's path and whether it exists; `use` creates it if it is missing and exports it."""
    parser = argparse.ArgumentParser(prog="python3 -m ml.virtual_environment", description=main.__doc__)
    parser.add_argument("verb", choices=("find", "use"))
    parser.add_argument("--lock", choices=LOCKS, required=True)
    parser.add_argument("--link", default="", help="a path of the checkout that leads to the environment, as .venv")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        workspace, tools = Path(os.environ["GITHUB_WORKSPACE"]), Path(os.environ["RUNNER_TOOL_CACHE"])
        lock = workspace / "requirements" / f"{options.lock}.lock"
        environment = folder(lock, tools)
        if options.verb == "find":
            outputs = {
                "path": environment,
                "key": f"fraudops-{environment.name}",
                "there": str(is_complete(environment)).lower(),
            }
            _append("GITHUB_OUTPUT", (f"{name}={value}" for name, value in outputs.items()))
            return 0
        variables = exported(environment, workspace, {name: os.environ.get(f"GIVEN_{name}", "") for name in _EXPORTED})
        with _exclusive_lock(environment):
            created = not is_complete(environment)
            if created:
                create(environment, lock)
        if options.link:
            link(environment, workspace / options.link)
    except KeyError as error:
        sys.stdout.write(f"::error::{error} is not set: this runs as a step of .github/actions/setup\n")
        return 1
    except (SetupFailed, OSError) as error:
        sys.stdout.write(f"::error::{error}\n")
        return 1
    _append("GITHUB_ENV", (f"{name}={value}" for name, value in variables.items()))
    _append("GITHUB_PATH", [str(environment / "bin")])
    state = "installed" if created else "reused"
    sys.stdout.write(f"{options.lock}.lock: {environment} {state} ({time.perf_counter() - start:.1f} s)\n")
    return 0


@contextmanager
def _exclusive_lock(environment: Path) -> Iterator[None]:
    """Serialises jobs that share a machine's tool cache: the first creates the environment, the others use it."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    with environment.with_name(f"{environment.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed, also if the process is killed
        yield


def _append(name: str, lines: Iterable[str]) -> None:
    with Path(os.environ[name]).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
