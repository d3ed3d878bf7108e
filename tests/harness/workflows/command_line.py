"""Plays `fraudops demo` or `simulate` in a clone of this repository, as a newcomer's shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def clone(repository: Path) -> Path:
    """Clones this repository into the new folder `repository`, which it returns."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(repository)], check=True)
    return repository


def play(repository: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs `fraudops` with the code of the clone, without variables of AWS or of the product; it ends with 0."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FRAUDOPS_"))}
    done = subprocess.run(
        [sys.executable, "-c", "from ml.cli import main; main()", *arguments],
        cwd=repository,
        env=environment | {"PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done
