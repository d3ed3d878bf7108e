"""Rows kept on disk by day: their order, the days without rows, and the files that are left."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from ml.aws.day_spill import DaySpill

SCHEMA = pa.schema([("day", pa.date32()), ("value", pa.int64())])
FIRST, SECOND, THIRD = date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder below which temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def rows(*items: tuple[date, int]) -> pa.Table:
    """A table of days and values."""
    return pa.table({"day": [day for day, _ in items], "value": [value for _, value in items]}, schema=SCHEMA)


def test_day_spill_returns_the_rows_of_a_day_in_the_order_added() -> None:
    """Tables that mix days are divided, and a day's rows keep the order of all tables."""
    with DaySpill(SCHEMA) as spill:
        spill.add(rows((SECOND, 3), (FIRST, 1), (SECOND, 2)))
        spill.add(rows((FIRST, 9), (SECOND, 1)))

        assert spill.pop(FIRST).equals(rows((FIRST, 1), (FIRST, 9)))
        assert spill.pop(SECOND).equals(rows((SECOND, 3), (SECOND, 2), (SECOND, 1)))


def test_day_spill_returns_no_rows_for_a_day_without_any() -> None:
    """A day to which nothing was added has an empty table of the same schema."""
    with DaySpill(SCHEMA) as spill:
        spill.add(rows())

        assert spill.pop(THIRD).equals(SCHEMA.empty_table())


def test_day_spill_removes_a_day_that_was_read(folder: Path) -> None:
    """The disk holds only the days that are still to be read."""
    with DaySpill(SCHEMA) as spill:
        spill.add(rows((FIRST, 1), (SECOND, 2)))
        spill.pop(FIRST)

        assert [path.name for path in folder.glob("*/*")] == ["20260302.arrow"]


def test_day_spill_leaves_no_file_after_an_error(folder: Path) -> None:
    """An error while rows are read removes the folder with days that are still open."""
    with pytest.raises(ValueError, match="stopped"), DaySpill(SCHEMA) as spill:
        spill.add(rows((FIRST, 1)))
        raise ValueError("stopped")

    assert not list(folder.iterdir())
