"""The pictures and commands of the documentation are made by the project and stay true."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_pictures_are_what_the_project_draws() -> None:
    """docs/*.svg are the bytes that docs/pictures.py draws, on any day."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs/pictures.py")
    assert spec is not None
    assert spec.loader is not None
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} == set(pictures.PICTURES)
    for name, draw in pictures.PICTURES.items():
        assert (ROOT / "docs" / name).read_bytes() == draw(), f"run: python docs/pictures.py ({name} is out of date)"
