"""The state that the product ships: the settings under model-config/ of a repository in which nothing has happened yet.

The demo, the simulated year and the tests start from it, so that they do not depend on the repository's own settings,
approvals, retrain requests and gate failures, nor on its code owners. It never changes the repository that it is
given a copy of: the caller chooses the folder.
"""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDER = Path(__file__).parent / "template"
"""Has model-config/ with the shipped settings, and nothing else; works as `root` of the loaders in `ml.config`."""
STATE = Path("model-config")
_KEPT = ("README.md", ".gitkeep")


def is_kept(file: Path) -> bool:
    """Whether a file below model-config/ belongs to the product: its README, and what keeps a folder in Git."""
    return file.name in _KEPT


def write(root: Path) -> None:
    """Writes the shipped settings into the folder `root`, which may have a model-config/ with records."""
    shutil.copytree(FOLDER / STATE, root / STATE, dirs_exist_ok=True)


def restore(root: Path) -> None:
    """Replaces the state of the checkout at `root` by the shipped one, and removes its code owners."""
    from ml.gitops import code_owners

    for file in sorted((root / STATE).rglob("*")):
        if file.is_file() and not is_kept(file):
            file.unlink()
    for place in code_owners.PLACES:
        (root / place).unlink(missing_ok=True)
    write(root)
