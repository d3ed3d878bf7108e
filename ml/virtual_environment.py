"""Creates and caches the virtual environment of a lock, for the setup action.

The setup action runs this before anything is installed, so it may import nothing but the standard library; whoever
puts an environment there beforehand (an image, a laptop's runner) asks `key` for its name, so that both agree.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import sys
import time
import venv
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ml import lock_installer

LOCKS = ("core", "run", "dev")
_STAMP = "complete"
"""Written last into an environment: one whose making was interrupted has none, and is made anew."""
_PASSED_ON = ("AWS_REGION", "FRAUDOPS_STACK", "FRAUDOPS_ROLE_ARN")
_SHIM = """\
#!{python}
from ml.cli import main

main()
"""


class SetupFailed(Exception):
    """The environment cannot be had; the message says why."""


def key(lock: Path) -> str:
    """The name of the environment of `lock` for the running Python: 16 hex digits of the sha256 of both.

    The whole version counts, for an environment points at its interpreter by path, and so does the machine.
    """
    python = f"{sys.implementation.name}-{platform.python_version()}-{platform.machine()}"
    return hashlib.sha256(lock.read_bytes() + b"\n" + python.encode()).hexdigest()[:16]


def folder(lock: Path, tools: Path) -> Path:
    """Where the environment of `lock` is kept below `tools`, a runner's RUNNER_TOOL_CACHE."""
    return tools / "fraudops" / key(lock)


def there(environment: Path) -> bool:
    """Whether the environment is whole. One that was linked here from elsewhere is its owner's business."""
    if environment.is_symlink():
        return (environment / "bin/python").exists()
    return (environment / _STAMP).is_file()


def make(environment: Path, lock: Path) -> None:
    """Installs exactly what `lock` pins, every file checked against its hash, and the command `fraudops`.

    Raises:
        SetupFailed: neither uv nor pip could; the environment counts as not there.
    """
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
    """The variables that later steps get: those of `values` that say something, and the checkout's own code first."""
    for name, value in values.items():
        if value.splitlines() not in ([], [value]):
            raise SetupFailed(f"{name} must be one line (got {value!r})")
    told = {name: value for name, value in values.items() if value}
    return {"PYTHONPATH": str(workspace), "VIRTUAL_ENV": str(environment), **told}


def link(environment: Path, at: Path) -> None:
    """Makes `at` a link to the environment, for tools that look for one there."""
    if at.is_symlink():
        at.unlink()
    if at.exists():
        raise SetupFailed(f"{at} is there and is not a link; remove it")
    at.symlink_to(environment, target_is_directory=True)


def main(arguments: list[str] | None = None) -> int:
    """`find` says where the environment is and whether it is there; `use` makes it if need be and exports it."""
    parser = argparse.ArgumentParser(prog="python3 -m ml.virtual_environment", description=main.__doc__)
    parser.add_argument("verb", choices=("find", "use"))
    parser.add_argument("--lock", choices=LOCKS, required=True)
    parser.add_argument("--link", default="", help="a path of the checkout that leads to the environment, as .venv")
    given = parser.parse_args(arguments)
    began = time.perf_counter()
    try:
        workspace, tools = Path(os.environ["GITHUB_WORKSPACE"]), Path(os.environ["RUNNER_TOOL_CACHE"])
        lock = workspace / "requirements" / f"{given.lock}.lock"
        environment = folder(lock, tools)
        if given.verb == "find":
            found = {
                "path": environment,
                "key": f"fraudops-{environment.name}",
                "there": str(there(environment)).lower(),
            }
            _append("GITHUB_OUTPUT", (f"{name}={value}" for name, value in found.items()))
            return 0
        variables = exported(environment, workspace, {name: os.environ.get(f"GIVEN_{name}", "") for name in _PASSED_ON})
        with _alone(environment):
            made = not there(environment)
            if made:
                make(environment, lock)
        if given.link:
            link(environment, workspace / given.link)
    except KeyError as error:
        sys.stdout.write(f"::error::{error} is not set: this runs as a step of .github/actions/setup\n")
        return 1
    except (SetupFailed, OSError) as error:
        sys.stdout.write(f"::error::{error}\n")
        return 1
    _append("GITHUB_ENV", (f"{name}={value}" for name, value in variables.items()))
    _append("GITHUB_PATH", [str(environment / "bin")])
    state = "installed" if made else "there already"
    sys.stdout.write(f"{given.lock}.lock: {environment} {state} ({time.perf_counter() - began:.1f} s)\n")
    return 0


@contextmanager
def _alone(environment: Path) -> Iterator[None]:
    """One at a time: jobs that share a machine share its tool cache, and the first makes what the others then find."""
    environment.parent.mkdir(parents=True, exist_ok=True)
    with environment.with_name(f"{environment.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # let go when the file is closed, whatever ends this
        yield


def _append(name: str, lines: Iterable[str]) -> None:
    with Path(os.environ[name]).open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
