"""Data files of three columns and their faults, for tests of reading."""

from __future__ import annotations

from pathlib import Path

from ml.ingest import data_file
from ml.ingest.content import Content
from tests.harness.columns import ulb_columns

COLUMNS = ulb_columns(("V1", "V2"))
HEADER = "Time,V1,V2,Amount,Class"
GOOD = "0,1.5,-2,3.25,0\n60,-1e-3,.5,0,1\n"
INPUTS = ["Time", "V1", "V2", "Amount", "Class"]


def read(tmp_path: Path, data: bytes | str, name: str = "a.csv") -> Content:
    """Reads a file `name` with the content `data`."""
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return data_file.read(str(path), COLUMNS)


def found(content: Content) -> list[tuple[str, str | None, int, str]]:
    """(kind, column, line, text of the cell) of all faults, in the order of lines."""
    return sorted(
        (
            (fault.kind, fault.column, content.raw.line(row), content.raw.cell(row, fault.column))
            for fault in content.faults
            for row in fault.rows.tolist()
        ),
        key=lambda item: (item[2], item[1] or ""),
    )
