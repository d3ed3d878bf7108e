"""Reads a file of labels (CSV, gzipped CSV or Parquet) and locates the rows that break their contract. Stores nothing.

The columns are `event_id`, `label`, `known_at` and optionally `channel`, in any order; others are ignored. One row of a
CSV file is one line, because no field of a label contains a line break. Every fault so has an exact line.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.aws.labels.store import CHARGEBACK, DELIVERED_SCHEMA
from ml.errors import DataError
from ml.ingest import label_rules

REQUIRED = ("event_id", "label", "known_at")
CHANNEL = "channel"
_GZIP, _PARQUET, _ZIP = b"\x1f\x8b", b"PAR1", b"PK\x03\x04"
_OTHER_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_CHUNK_ROWS = 100_000


@dataclass(frozen=True, kw_only=True)
class RowFault:
    """A rule that a row breaks. `column` is None for a fault of the row as a whole; `text` is the raw row."""

    line: int
    column: str | None
    kind: str
    rule: str
    value: str
    text: str


@dataclass(frozen=True, kw_only=True)
class LabelFile:
    """The content of a label file: `rows` = the rows of `labels` + `repeated` + the rows with a fault."""

    path: str
    unit: str
    """What `line` of a fault counts: "line" of a text file, "row" of a Parquet file; both from 1."""
    rows: int
    labels: pa.Table
    """Rows without a fault, each once, as `ml.aws.labels.store.deliver` takes them."""
    repeated: int
    """Rows that repeat another row in every column."""
    faults: tuple[RowFault, ...]
    """In the order of lines."""
    ignored: tuple[str, ...]
    """Columns that are none of a label."""

    @property
    def faulty_rows(self) -> int:
        """The number of rows with a fault."""
        return len({fault.line for fault in self.faults})

    @property
    def problems(self) -> dict[str, int]:
        """The number of rows with each kind of fault, the most frequent first."""
        counts = Counter(fault.kind for fault in self.faults)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass
class _Rows:
    """Rows as they are read: typed tables of the valid ones, and the faults of the others."""

    channel: str
    now: datetime
    path: str
    tables: list[pa.Table] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)
    count: int = 0

    def add(self, columns: dict[str, pa.Array], lines: NDArray[np.int64], texts: Sequence[str] | None) -> None:
        """Converts a chunk. `texts` are the raw rows; None makes them from the columns."""
        rules: dict[str, Any] = {
            "event_id": label_rules.event_ids,
            "label": label_rules.labels,
            "known_at": partial(label_rules.known_times, now=self.now),
            CHANNEL: label_rules.channels,
        }
        typed, bad = [], np.zeros(len(lines), dtype=np.bool_)
        found: list[tuple[int, int, RowFault]] = []
        for place, name in enumerate(DELIVERED_SCHEMA.names):
            if name not in columns:
                typed.append(pa.array([self.channel] * len(lines), pa.string()))
                continue
            column = rules[name](columns[name], f"{self.path}: column {name!r}")
            typed.append(column.values)
            for (kind, rule), broken in column.broken.items():
                bad |= broken
                for row in np.flatnonzero(broken).tolist():
                    value = columns[name][row].as_py()
                    text = (
                        texts[row] if texts is not None else _as_csv([each[row].as_py() for each in columns.values()])
                    )
                    fault = RowFault(
                        line=int(lines[row]),
                        column=name,
                        kind=kind,
                        rule=rule,
                        value="" if value is None else str(value),
                        text=text,
                    )
                    found.append((fault.line, place, fault))
        self.faults += [fault for _, _, fault in sorted(found, key=lambda item: item[:2])]
        self.tables.append(pa.Table.from_arrays(typed, schema=DELIVERED_SCHEMA).filter(pa.array(~bad)))
        self.count += len(lines)


def read(path: str, data: bytes, *, channel: str | None, now: datetime) -> LabelFile:
    """Reads the label file `data`, which was found at `path`. The first bytes decide the format.

    Args:
        channel: the channel of all labels of a file without that column; chargeback if None.
        now: a label that becomes known later is a fault.

    Raises:
        DataError: the file is empty, damaged or in another format, its columns are not those of labels, or it has a
            column `channel` and `channel` is given. The message has the line if there is one, and what to do.
    """
    text = _decompressed(path, data)
    rows = _Rows(channel=channel or CHARGEBACK, now=now, path=path)
    parquet = text.startswith(_PARQUET)
    if PurePosixPath(path).suffix.lower() in (".parquet", ".pq") and not parquet:
        raise DataError(f"{path}: is not Parquet (its first bytes are {text[:4]!r}); export it again or rename it")
    names = (_read_parquet if parquet else _read_csv)(path, text, rows, channel)
    unit = "row" if parquet else "line"
    if not rows.count:
        raise DataError(f"{path}: has columns and no rows; give a file with labels")
    every = pa.concat_tables([DELIVERED_SCHEMA.empty_table(), *rows.tables])
    distinct = every.group_by(DELIVERED_SCHEMA.names, use_threads=False).aggregate([]).select(DELIVERED_SCHEMA.names)
    return LabelFile(
        path=path,
        unit=unit,
        rows=rows.count,
        labels=distinct.cast(DELIVERED_SCHEMA).combine_chunks(),
        repeated=every.num_rows - distinct.num_rows,
        faults=tuple(sorted(rows.faults, key=lambda fault: fault.line)),
        ignored=tuple(name for name in names if name not in DELIVERED_SCHEMA.names),
    )


def _decompressed(path: str, data: bytes) -> bytes:
    if not data:
        raise DataError(f"{path}: is empty (0 bytes); give a file with a header and labels")
    if data.startswith(_ZIP):
        raise DataError(f"{path}: is a zip archive; unpack it and give the file inside")
    if not data.startswith(_GZIP):
        if path.lower().endswith(".gz"):
            raise DataError(f"{path}: is not gzip (its first bytes are {data[:4]!r}); compress it again or rename it")
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: is a damaged or truncated gzip ({error}); copy it again") from error


def _check_names(where: str, names: Sequence[str], channel: str | None) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{where}: {twice!r} named more than once; name each column once")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        listed = ", ".join(map(repr, missing))
        raise DataError(
            f"{where}: missing {listed}; the columns must be {', '.join(REQUIRED)}, and {CHANNEL} if the labels of a "
            f"file have several (got {', '.join(map(repr, names[:8]))}{', …' if len(names) > 8 else ''})"
        )
    if channel is not None and CHANNEL in names:
        raise DataError(f"{where}: has a column {CHANNEL!r}, so --channel has no effect; leave it out")


def _read_csv(path: str, data: bytes, rows: _Rows, channel: str | None) -> Sequence[str]:
    lines = _lines(data.removeprefix(b"\xef\xbb\xbf"))
    at, header = next(lines, (0, b""))
    if not at:
        raise DataError(f"{path}: is empty ({len(data)} bytes); give a file with a header and labels")
    where = f"{path}: line {at}"
    if b"\0" in header or header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{where} is not UTF-8 (it looks like UTF-16 or binary); save the file as UTF-8 CSV")
    try:
        text = header.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} is not UTF-8 (byte {header[error.start]:#04x}); save the file as UTF-8 CSV"
        ) from error
    names = [name.strip() for name in next(csv.reader([text]))]
    for delimiter, description in _OTHER_DELIMITERS.items():
        if len(names) == 1 and delimiter in text:
            raise DataError(f"{where} is delimited by {description}; delimit the file by commas")
    _check_names(where, names, channel)
    places = {name: names.index(name) for name in DELIVERED_SCHEMA.names if name in names}
    records: list[list[str]] = []
    numbers: list[int] = []
    texts: list[str] = []

    def convert() -> None:
        columns = {name: pa.array([record[at] for record in records], pa.string()) for name, at in places.items()}
        rows.add(columns, np.array(numbers, dtype=np.int64), texts)
        for items in (records, numbers, texts):
            items.clear()

    for number, line in lines:
        raw = line.decode("utf-8", errors="backslashreplace")
        record, broken = _fields(line, len(names))
        if record is None:
            kind, rule = broken
            rows.faults.append(RowFault(line=number, column=None, kind=kind, rule=rule, value=raw, text=raw))
            rows.count += 1
            continue
        records.append(record)
        numbers.append(number)
        texts.append(raw)
        if len(records) == _CHUNK_ROWS:
            convert()
    if records:
        convert()
    return names


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers from 1; line ends are LF or CRLF."""
    for number, line in enumerate(io.BytesIO(data), start=1):
        stripped = line.rstrip(b"\r\n")
        if stripped.strip():
            yield number, stripped


def _fields(line: bytes, width: int) -> tuple[list[str] | None, tuple[str, str]]:
    """The fields of a line; None with (kind, rule) if the line as a whole is faulty."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return None, (
            "not UTF-8",
            f"must be UTF-8 (byte {line[error.start]:#04x} at position {error.start + 1} is not)",
        )
    if text.count('"') % 2:
        return None, ("unbalanced quotes", "must close each quotation mark on its line")
    try:
        fields = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
    except csv.Error as error:
        return None, ("not CSV", f"must be fields separated by commas ({error})")
    if len(fields) != width:
        return None, ("wrong number of fields", f"must have {width} fields (has {len(fields)})")
    return fields, ("", "")


def _read_parquet(path: str, data: bytes, rows: _Rows, channel: str | None) -> Sequence[str]:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names: list[str] = file.schema_arrow.names
        _check_names(path, names, channel)
        wanted = [name for name in DELIVERED_SCHEMA.names if name in names]
        for batch in file.iter_batches(batch_size=_CHUNK_ROWS, columns=wanted, use_threads=False):
            columns = {name: _plain(batch.column(name)) for name in wanted}
            first = rows.count + 1
            rows.add(columns, np.arange(first, first + batch.num_rows), None)
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise DataError(f"{path}: is not a readable Parquet file ({reason}); export it again") from error
    return names


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _as_csv(values: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["" if value is None else value for value in values])
    return line.getvalue()
