"""Copies of this repository's code with the shipped state in place of the repository's own; not a test itself.

An adopter's gates, columns, approvals and code owners are state. A test that used them would fail after the first
approval, so tests take code from the tree and state from `ml.playground.template_state`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml import config
from ml.gitops import code_owners
from ml.playground import template_state

ROOT = Path(__file__).resolve().parents[3]


def copy(root: Path, *parts: str) -> Path:
    """Copies these files and folders of the repository below `root`, and the shipped state; returns `root`."""
    for part in parts:
        (root / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, root / part)
    template_state.write(root)
    return root


def copy_tracked(root: Path, *, leave_out: tuple[str, ...] = ()) -> Path:
    """Copies every tracked file below `root` unless its path begins with one of `leave_out`, and the shipped state.

    Uncommitted changes of tracked files are copied, code owners are not.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    state = f"{template_state.STATE}/"
    for name in filter(None, listed.split("\0")):
        is_state = name in code_owners.PLACES or (name.startswith(state) and not template_state.is_kept(Path(name)))
        if not is_state and not name.startswith(leave_out) and (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    template_state.write(root)
    return root


def set_values(root: Path, path: Path, values: Mapping[str, Any]) -> None:
    """Sets values of the settings file `path` below `root` by key, as `config.set_values` does."""
    text = (root / path).read_text(encoding="utf-8")
    (root / path).write_text(config.set_values(text, path, values), encoding="utf-8")
