"""The repository of an adopter, with what bootstrap, train and deploy read; not a test itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from ml import config
from tests.harness.git import settings
from tests.harness.git.repositories import GitWorkspace

ROOT = Path(__file__).resolve().parents[3]


def repository(folder: Path, endpoint: str) -> GitWorkspace:
    """A repository whose endpoint has this name and settles at once, set to train on few rows."""
    text = (ROOT / config.SERVING).read_text().replace("fraudops-production", endpoint)
    text = text.replace("termination_wait_seconds: 120", "termination_wait_seconds: 0")
    workspace = GitWorkspace.make(folder, text.replace("timeout_minutes: 30", "timeout_minutes: 1"))
    for part in ("infra", "ml/model", "ml/steps"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "ml/__init__.py", folder / "ml/__init__.py")
    model = settings.settled((ROOT / config.MODEL).read_text())
    workspace.write({config.MODEL: model, config.GATE: (ROOT / config.GATE).read_text()}, "Adopt")
    return workspace
