"""Training settings round-trip through JSON, and anything else is refused."""

from __future__ import annotations

from pathlib import Path

from ml import config
from ml.model.training_settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_settings_survive_the_way_to_the_steps() -> None:
    """Settings written as JSON and read back are equal, and so is their digest."""
    settings = config.load_settings(ROOT)
    again = Settings.from_json(settings.to_json())
    assert again == settings
    assert again.sha256 == settings.sha256
