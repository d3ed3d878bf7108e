"""The pictures of the documentation are generated and up to date."""

from __future__ import annotations

import re
from pathlib import Path

from docs import pictures

ROOT = Path(__file__).resolve().parents[1]


def test_pictures_are_up_to_date() -> None:
    """docs/*.svg are the bytes that docs/pictures.py draws."""
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} == set(pictures.PICTURES)
    for name, draw in pictures.PICTURES.items():
        assert (ROOT / "docs" / name).read_bytes() == draw(), f"run: make docs ({name} is out of date)"


def test_modules_named_in_the_architecture_exist() -> None:
    """Every `folder/module` that docs/architecture.md names is a module, a package or a folder of ml/ or the root."""
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    names = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)+)`", text))
    assert len(names) > 30
    for name in sorted(names):
        places = (ROOT / name, ROOT / "ml" / name, ROOT / "ml" / f"{name}.py")
        assert any(place.exists() for place in places), f"docs/architecture.md names {name}, which does not exist"


def test_glossary_has_at_most_thirty_terms() -> None:
    """The glossary stays short enough to be read, and names each term once."""
    rows = re.findall(r"^\| ([^|]+) \| ", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)[1:]
    assert 20 <= len(rows) <= 30
    assert len({row.strip() for row in rows}) == len(rows)
