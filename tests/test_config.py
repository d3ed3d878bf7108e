"""The files under model-config/ are found by path and name; a name that contradicts its content is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ml import config
from ml.errors import ConfigError
from ml.model.training_settings import Settings
from ml.playground.template_state import FOLDER as SHIPPED

ROOT = Path(__file__).resolve().parents[1]


def test_missing_file_is_named() -> None:
    """The error names the file and says what to do."""
    with pytest.raises(ConfigError, match=r"gate\.yaml: no such file"):
        config.load_gate(Path("nowhere"))


def edited(path: Path, **values: Any) -> str:
    """A shipped file with other values."""
    return config.set_values((SHIPPED / path).read_text(), path, values)


def test_change_of_any_file_changes_the_digest() -> None:
    """The configuration digest covers the three training files."""
    before = config.load_settings(SHIPPED).sha256
    texts = {path: (SHIPPED / path).read_text() for path in config.SETTINGS}
    assert config.parse_settings(texts.__getitem__).sha256 == before
    changes: dict[Path, dict[str, Any]] = {
        config.DATA: {"keep": ["branch"]},
        config.MODEL: {"seed": 21},
        config.GATE: {"min_recall": 0.61},
    }
    for path, values in changes.items():
        changed = texts | {path: edited(path, **values)}
        assert config.parse_settings(changed.__getitem__).sha256 != before


def test_request_is_named_for_its_time_and_cause(tmp_path: Path) -> None:
    """A request file whose name lacks its time and cause is refused."""
    folder = tmp_path / config.REQUESTS
    folder.mkdir(parents=True)
    body = "kind: fit\ncause: data-drift\nreason: V3 moved\nwindow: {start: null, end: null}\nevidence: {}\n"
    (folder / "20260301T060000Z-data-drift.yaml").write_text(body)
    assert list(config.load_requests(tmp_path)) == ["20260301T060000Z-data-drift"]
    (folder / "20260302T060000Z-concept-drift.yaml").write_text(body)
    with pytest.raises(ConfigError, match="cause must be the one in the file's name"):
        config.load_requests(tmp_path)
    (folder / "20260302T060000Z-concept-drift.yaml").rename(folder / "latest.yaml")
    with pytest.raises(ConfigError, match="must be named"):
        config.load_requests(tmp_path)


def test_shipped_settings_survive_the_way_to_the_steps() -> None:
    """The shipped settings, written as JSON and read back by a step, are equal and have the same digest."""
    settings = config.load_settings(SHIPPED)
    again = Settings.from_json(settings.to_json())
    assert again == settings
    assert again.sha256 == settings.sha256
