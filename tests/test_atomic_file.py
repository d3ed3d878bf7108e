"""A file is replaced by a complete one or stays as it was, and no draft stays beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml import atomic_file


def test_a_complete_file_replaces_the_former_one(tmp_path: Path) -> None:
    """The former content is there until the block ends."""
    path = tmp_path / "profile.json"
    path.write_text("former")
    with atomic_file.replacing(path) as draft:
        draft.write_text("new")
        assert path.read_text() == "former"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_the_former_file(tmp_path: Path) -> None:
    """An error within the block is raised as it is."""
    path = tmp_path / "profile.json"
    path.write_text("former")
    with pytest.raises(KeyboardInterrupt), atomic_file.replacing(path) as draft:
        draft.write_text("a par")
        raise KeyboardInterrupt
    assert path.read_text() == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_cannot_be_replaced_is_an_error(tmp_path: Path) -> None:
    """A folder of that name, for instance."""
    (tmp_path / "profile.json").mkdir()
    with pytest.raises(OSError, match="directory"), atomic_file.replacing(tmp_path / "profile.json") as draft:
        draft.write_text("new")
    assert list(tmp_path.iterdir()) == [tmp_path / "profile.json"]
