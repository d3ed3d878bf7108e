"""Training settings round-trip through JSON; their digest is that of their values."""

from __future__ import annotations

import dataclasses

import pytest

from ml.model.training_settings import Settings
from tests.model.training_samples import SETTINGS


def test_settings_survive_the_way_to_the_steps() -> None:
    """Settings written as JSON and read back are equal, and so is their digest."""
    again = Settings.from_json(SETTINGS.to_json())
    assert again == SETTINGS
    assert again.sha256 == SETTINGS.sha256


def test_any_value_changes_the_digest() -> None:
    """A value of the training and a value of the gate each give another digest."""
    other_seed = dataclasses.replace(
        SETTINGS, training=dataclasses.replace(SETTINGS.training, seed=SETTINGS.training.seed + 1)
    )
    other_gate = dataclasses.replace(SETTINGS, gate=dataclasses.replace(SETTINGS.gate, min_recall=0.123))
    assert len({SETTINGS.sha256, other_seed.sha256, other_gate.sha256}) == 3


@pytest.mark.parametrize("text", ["{}", '{"training": {}, "gate": {}}'])
def test_document_of_another_shape_is_refused(text: str) -> None:
    """The steps explain the error with the file's name."""
    with pytest.raises((KeyError, TypeError)):
        Settings.from_json(text)
