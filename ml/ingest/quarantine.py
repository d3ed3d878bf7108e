"""Writes rows that break the data contract, unchanged and with the reason, to a file beside the data file."""

from __future__ import annotations

import csv
import io
import os
from collections import defaultdict
from pathlib import Path

import numpy as np

from ml.aws import s3_objects
from ml.errors import DataError
from ml.ingest.table import Content

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
    """How often each kind of problem was met, most frequent first."""
    found: dict[str, int] = defaultdict(int)
    for fault in content.faults:
        found[fault.kind] += fault.rows.size
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def write(content: Content) -> tuple[str, int]:
    """Writes the bad rows beside the file they came from; where that is, and how many they are.

    Columns: `line` (or `row`), `reason` and `text`, the row's own bytes. An older file of the same name is replaced.

    Raises:
        DataError, CloudError: the place cannot be written to.
    """
    reasons: dict[int, list[str]] = defaultdict(list)
    for fault in content.faults:
        for row in fault.rows.tolist():
            value = f" (got {clipped(content.raw.cell(row, fault.column))})" if fault.column else ""
            reasons[row].append(f"{fault.column or content.raw.unit} {fault.rule}{value}")
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([content.raw.unit, "reason", "text"])
    for row in np.flatnonzero(content.bad).tolist():
        text = content.raw.text(row).decode("utf-8", errors="surrogateescape")
        writer.writerow([content.raw.line(row), "; ".join(reasons[row]), text])
    data = table.getvalue().encode("utf-8", errors="surrogateescape")
    place = f"{content.path}.quarantine.csv"
    if place.startswith(s3_objects.SCHEME):
        s3_objects.write(place, data, "text/csv")
    else:
        _replace(Path(place), data)
    return place, len(reasons)


def _replace(path: Path, data: bytes) -> None:
    """All of `data` at `path`, or what was there before."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); bad rows are kept beside the file, or not at all: "
            f"copy the file to a folder that can be written to"
        ) from error
