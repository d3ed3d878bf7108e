"""Installs lock files into a virtual environment with uv, or with pip if uv is not available.

Runs before anything is installed, so it imports the standard library only. Sets no package index: uv and pip use the
index that the machine is configured for.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

_UV_LOCK = Path(__file__).resolve().parents[1] / "requirements/uv.lock"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")
_HASHED = ("--require-hashes", "--no-deps")
_PIN = re.compile(r"^[A-Za-z0-9][^\s=]*==", re.MULTILINE)


class InstallFailed(Exception):
    """Neither uv nor pip could install; the message names the lock."""


def install(environment: Path, locks: Sequence[Path], *, tools: Path) -> None:
    """Installs the pins of `locks`, verified by hash, and prints one line per stage.

    Creates `environment` if it is missing. Installs uv below `tools`, at the version of requirements/uv.lock.

    Raises:
        InstallFailed: neither uv nor pip could install one of the locks.
    """
    python = environment / "bin/python"
    if not python.exists():
        _print(f"creating {environment} with Python {sys.version.split()[0]}")
        venv.create(environment, with_pip=True, clear=True)
    locks = [lock for lock in locks if _PIN.search(lock.read_text(encoding="utf-8"))]
    if not locks:
        return
    uv = find_uv(python, tools)
    for lock in locks:
        _install_lock(python, lock, uv)


def find_uv(python: Path, tools: Path) -> Path | None:
    """The uv of requirements/uv.lock, installed by pip below `tools` if it is missing; None if that fails."""
    if not _UV_LOCK.is_file():
        return None
    folder = tools / f"uv-{hashlib.sha256(_UV_LOCK.read_bytes()).hexdigest()[:16]}"
    uv = folder / "bin/uv"
    if not uv.exists():
        _print(f"installing uv into {folder}")
        tools.mkdir(parents=True, exist_ok=True)
        # Jobs that share a tool cache may do this at once: each installs into a folder of its own, and a rename shows
        # the whole of it or nothing.
        with tempfile.TemporaryDirectory(dir=tools, prefix="uv-", ignore_cleanup_errors=True) as draft:
            target = Path(draft) / "whole"
            command: list[Path | str] = [
                python,
                *_PIP,
                "install",
                "--quiet",
                *_HASHED,
                "--target",
                target,
                "-r",
                _UV_LOCK,
            ]
            if not _succeeds(command) or not (target / "bin/uv").exists():
                _print("uv is not available; pip installs instead, which takes minutes")
                return None
            try:
                target.rename(folder)
            except OSError as error:
                if not uv.exists():  # otherwise another job was first, with the same content
                    _print(f"{folder}: {error.strerror}; remove it. pip installs instead, which takes minutes")
                    return None
    return uv


def _install_lock(python: Path, lock: Path, uv: Path | None) -> None:
    packages = len(_PIN.findall(lock.read_text(encoding="utf-8")))
    began = time.perf_counter()
    for installer in ("uv", "pip") if uv else ("pip",):
        _print(f"installing {lock.name} ({packages} packages) into {python.parents[1]} with {installer}")
        if installer == "uv":
            # Compile bytecode now, so that the first import of a package is fast and prints no syntax warnings.
            command = [uv, "pip", "install", "--python", python, *_HASHED, "--compile-bytecode", "-r", lock]
        else:
            command = [python, *_PIP, "install", "--progress-bar", "on", *_HASHED, "-r", lock]
        environment = _with_pip_index(python) if installer == "uv" else dict(os.environ)
        if _succeeds(command, environment):
            _print(f"installed {lock.name} in {time.perf_counter() - began:.1f} s")
            return
    raise InstallFailed(f"pip could not install {lock}; its output is above")


def _succeeds(command: Sequence[Path | str | None], environment: Mapping[str, str] | None = None) -> bool:
    """Whether the command exits with code 0; a program that cannot be executed here counts as a failure."""
    try:
        return subprocess.run([str(part) for part in command], env=environment, check=False).returncode == 0
    except OSError as error:
        _print(f"{command[0]}: {error.strerror}")
        return False


def _with_pip_index(python: Path) -> dict[str, str]:
    """Environment variables for uv with pip's index, because uv does not read pip's configuration."""
    variables = dict(os.environ)
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & set(variables):
        command = [str(python), *_PIP, "config", "get", "global.index-url"]
        index = (
            variables.get("PIP_INDEX_URL")
            or subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        )
        if index:
            variables["UV_DEFAULT_INDEX"] = index
    return variables


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """Installs locks into a virtual environment."""
    parser = argparse.ArgumentParser(prog="python3 -m ml.lock_installer", description=main.__doc__)
    parser.add_argument("environment", type=Path)
    parser.add_argument("locks", type=Path, nargs="+")
    parser.add_argument("--tools", type=Path, default=Path(".venv-tools"), help="folder for uv")
    options = parser.parse_args(arguments)
    try:
        install(options.environment, options.locks, tools=options.tools)
    except (InstallFailed, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
