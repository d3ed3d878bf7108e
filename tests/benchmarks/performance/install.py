"""Installing a lock by ml.lock_installer, which uses uv, compared with pip, into new environments; caches are filled.

A quick run measures nothing, because the ratio depends on the registry and on the disk.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import venv
from functools import partial
from pathlib import Path

from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, Measured, alternate

LOCK = ROOT / "requirements/run.lock"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes", "--no-deps")
ROUNDS = 2  # pip takes minutes


def measure(bench: Bench) -> list[Measured]:
    """Seconds of both; the environments are made before the time begins."""
    if bench.quick:
        return []
    empty = bench.folder / "install-empty"
    venv.create(empty, clear=True, with_pip=True)
    ways = {side: partial(_seconds, empty, side, LOCK) for side in ("ours", "peer")}
    alternate(ways, 1)  # fills the caches
    ended = alternate(ways, ROUNDS)
    packages = sum("==" in line for line in LOCK.read_text("utf-8").splitlines())
    return [
        Measured(
            name="install",
            samples=tuple(ended["ours"]),
            peer_samples=tuple(ended["peer"]),
            peer_name="pip",
            unit="s",
            size=f"{LOCK.name}, {packages} packages",
        )
    ]


def _seconds(empty: Path, side: str, lock: Path) -> float:
    """How long one side takes to install `lock` into a copy of the environment `empty`, which is removed afterwards."""
    environment = empty.with_name(f"install-{side}")
    shutil.rmtree(environment, ignore_errors=True)
    shutil.copytree(empty, environment, symlinks=True)
    if side == "ours":
        command = [sys.executable, "-m", "ml.lock_installer", str(environment), str(lock)]
    else:
        command = [str(environment / "bin/python"), *PIP, "-r", str(lock)]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - began
    shutil.rmtree(environment)
    if done.returncode:
        raise BenchFailed(f"install: exit code {done.returncode} of {' '.join(command)}")
    return seconds
