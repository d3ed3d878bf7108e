"""The pictures of the documents are drawn by the project and up to date."""

from __future__ import annotations

from pathlib import Path

from docs import pictures

ROOT = Path(__file__).resolve().parents[1]


def test_pictures_are_up_to_date() -> None:
    """docs/*.svg are the bytes that docs/pictures.py draws."""
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} == set(pictures.PICTURES)
    for name, draw in pictures.PICTURES.items():
        assert (ROOT / "docs" / name).read_bytes() == draw(), f"run: make docs ({name} is out of date)"
