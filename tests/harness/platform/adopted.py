"""The repository of an adopter, with what bootstrap, train and deploy read; not a test itself."""

from __future__ import annotations

from pathlib import Path

from ml import config
from tests.harness.git import checkout, settings
from tests.harness.git.repositories import GitWorkspace


def repository(folder: Path, endpoint: str) -> GitWorkspace:
    """A repository whose endpoint has this name and settles at once, set to train on few rows."""
    checkout.copy(folder, "infra", "ml/model", "ml/steps", "ml/spark", "ml/__init__.py")
    checkout.set_values(folder, config.SERVING, {"endpoint": endpoint, **settings.AT_ONCE})
    checkout.set_values(folder, config.MODEL, settings.FEW_ROWS)
    return GitWorkspace.begin(folder)
