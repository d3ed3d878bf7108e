"""Keeps rows on disk by day until each day is read, so that memory holds one day. Sorts and drops no row."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


class DaySpill:
    """Rows with a column `day` (date32), in one file per day of a temporary folder, which `with` removes.

    Args:
        schema: the columns of every table that is added.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._folder = tempfile.TemporaryDirectory(prefix="fraudops-days-")
        self._writers: dict[date, Any] = {}

    def __enter__(self) -> DaySpill:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        self._folder.cleanup()

    def add(self, rows: pa.Table) -> None:
        """Appends `rows` to the files of their days."""
        for day in pc.unique(rows["day"]).to_pylist():
            if day not in self._writers:
                self._writers[day] = pa.ipc.new_file(str(self._path(day)), self._schema)
            self._writers[day].write_table(rows.filter(pc.equal(rows["day"], pa.scalar(day, pa.date32()))))

    def pop(self, day: date) -> pa.Table:
        """The rows of `day` in the order in which they were added, and removes their file."""
        writer = self._writers.pop(day, None)
        if writer is None:
            return self._schema.empty_table()
        writer.close()
        with pa.OSFile(str(self._path(day))) as file, pa.ipc.open_file(file) as reader:
            rows = reader.read_all()
        self._path(day).unlink()
        return rows

    def _path(self, day: date) -> Path:
        return Path(self._folder.name) / f"{day:%Y%m%d}.arrow"
