"""A real Git repository per test, with this project's serving file in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gitops.repositories import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """A repository on main with model-config/ committed by a person."""
    return Workshop.make(tmp_path / "repository")
