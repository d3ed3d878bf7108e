"""The shipped state: valid settings without a record, written over whatever state a checkout has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import config
from ml.errors import ConfigError
from ml.gitops import code_owners
from ml.playground import template_state
from tests.harness.git import adopter, checkout


def files(root: Path) -> dict[str, str]:
    """The text of every file below `root` by its path."""
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_shipped_settings_are_valid_and_serve_nothing() -> None:
    """Every settings file is there and valid, nothing is approved, and no record exists."""
    root = template_state.FOLDER
    assert config.load_settings(root).training.seed == config.load_model(root).seed
    assert config.load_drift(root).window == "month"
    assert config.load_serving(root).approval is None
    assert {Path(name) for name in files(root)} == {*config.SETTINGS, config.SERVING, config.DRIFT}


def test_adopters_state_is_replaced(tmp_path: Path) -> None:
    """Settings, approvals, requests, gate failures and code owners go; other files stay as they are."""
    checkout.copy_tracked(tmp_path, leave_out=("tests/", "docs/", "emulators/"))
    before = files(tmp_path)
    adopter.write(tmp_path)
    assert config.load_serving(tmp_path).approval == 2
    assert config.load_settings(tmp_path).sha256 != config.load_settings(template_state.FOLDER).sha256
    assert len(config.load_requests(tmp_path)) == 2
    assert len(config.load_gate_failures(tmp_path)) == 1
    (tmp_path / "docs").mkdir()
    for place in code_owners.PLACES:
        (tmp_path / place).write_text("* @bank\n")
    template_state.restore(tmp_path)
    assert files(tmp_path) == before


def test_state_is_written_into_an_empty_folder(tmp_path: Path) -> None:
    """A folder without model-config/ gets all settings."""
    with pytest.raises(ConfigError, match="no such file"):
        config.load_gate(tmp_path)
    template_state.write(tmp_path)
    assert files(tmp_path) == files(template_state.FOLDER)
