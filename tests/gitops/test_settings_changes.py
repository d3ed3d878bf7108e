"""Tests of the names and values of changed settings."""

from __future__ import annotations

from ml.gitops import settings_changes


def words(former: dict[str, object], new: dict[str, object]) -> list[str]:
    """What changed, in words."""
    return [change.words for change in settings_changes.changes([former], [new])]


def test_changed_settings_are_named_with_both_values() -> None:
    """Nested names have dots; a missing value is a dash, and what is equal is left out."""
    former = {"threshold": {"policy": "fixed", "value": 0.0025}, "old": True, "seed": 1}
    new = {"threshold": {"policy": "fixed", "value": 0.0095}, "seed": 1, "added": None}
    assert words(former, new) == ["threshold.value 0.0025 → 0.0095", "old true → –", "added – → null"]


def test_lists_are_counted() -> None:
    """A list of features is too long for a title."""
    assert words({"features": ["V1", "V2"]}, {"features": ["V2", "V3", "V4"]}) == ["features: 2 added, 1 removed"]
    assert words({"features": ["V1", "V2"]}, {"features": ["V2", "V1"]}) == ["features: another order"]


def test_long_values_are_shortened() -> None:
    """Only a value within 40 characters is shown whole."""
    assert words({"note": "a"}, {"note": "b" * 50}) == [f"note a → {'b' * 39}…"]
