"""Quarantines rows that break the data contract: writes them, unchanged and with the reason, beside the data file."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ml import atomic_file
from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest.content import Content

SUFFIX = ".quarantine.csv"
"""Added to the name of a file: the name of its quarantine."""
_MESSAGE_CHARACTERS = 60


def clipped(value: str) -> str:
    """`value` quoted for a message, shortened if it is long."""
    return repr(value if len(value) <= _MESSAGE_CHARACTERS else value[:_MESSAGE_CHARACTERS] + "…")


def first_problem(content: Content) -> str:
    """The first row that breaks a rule: its line, column, value and the rule."""
    row, _, fault = min(
        ((int(fault.rows[0]), position, fault) for position, fault in enumerate(content.faults)),
        key=lambda item: item[:2],
    )
    where = f"{content.raw.unit} {content.raw.line(row)}"
    column = f", column {fault.column}" if fault.column else ""
    return f"{where}{column}: {clipped(content.raw.cell(row, fault.column))} {fault.rule}"


def counts(content: Content) -> dict[str, int]:
    """The number of rows with each kind of fault, the most frequent first."""
    rows_by_kind: dict[str, int] = defaultdict(int)
    for fault in content.faults:
        rows_by_kind[fault.kind] += fault.rows.size
    return dict(sorted(rows_by_kind.items(), key=lambda item: (-item[1], item[0])))


def write(content: Content) -> tuple[str, int]:
    """Writes the rows with faults beside the data file; returns the path and the number of rows.

    Columns: `line` (or `row`), `reason` and `text`, the raw row. Replaces an older file of the same name.

    Raises:
        DataError, CloudError: the file cannot be written.
    """
    reasons: dict[int, list[str]] = defaultdict(list)
    for fault in content.faults:
        for row in fault.rows.tolist():
            value = f" (got {clipped(content.raw.cell(row, fault.column))})" if fault.column else ""
            reasons[row].append(f"{fault.column or content.raw.unit} {fault.rule}{value}")
    rows = (
        (
            content.raw.line(row),
            "; ".join(reasons[row]),
            content.raw.text(row).decode("utf-8", errors="surrogateescape"),
        )
        for row in np.flatnonzero(content.bad).tolist()
    )
    return write_rows(content.path, content.raw.unit, rows), len(reasons)


def write_rows(path: str, unit: str, rows: Iterable[tuple[int, str, str]]) -> str:
    """Writes (line, reason, raw text) of rows beside the file `path` (local or s3://); returns the new file's path.

    Replaces an older file of the same name. The header's first column is `unit`.

    Raises:
        DataError, CloudError: the file cannot be written.
    """
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([unit, "reason", "text"])
    writer.writerows(rows)
    data = table.getvalue().encode("utf-8", errors="surrogateescape")
    target = f"{path}{SUFFIX}"
    if target.startswith(s3_objects.SCHEME):
        s3_objects.write(target, data, "text/csv")
    else:
        _write_atomically(Path(target), data)
    return target


def _write_atomically(path: Path, data: bytes) -> None:
    try:
        with atomic_file.replacing(path) as draft:
            draft.write_bytes(data)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); rows are quarantined beside the data file only: "
            f"copy the data file to a writable folder"
        ) from error
