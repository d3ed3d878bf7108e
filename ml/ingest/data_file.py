"""Reads a data file (CSV, gzip or zstd of it, Parquet; local or in S3) with DuckDB, all its rows or none.

Column order does not matter, and columns that nothing names are ignored. Reports the faults of rows with file, line,
column and value, and decides nothing about them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.errors import DataError
from ml.ingest import cell_types, csv_text, staging
from ml.ingest.cell_types import Cast
from ml.ingest.content import Content, RawRows, all_faults, line_of, positions
from ml.ingest.csv_text import Header
from ml.ingest.staging import StagedFile
from ml.model import data_contract
from ml.model.data_contract import EVENT_TIME, Fault
from ml.model.training_settings import Columns

_MEMORY = "1GB"
"""What DuckDB may use beside the result; beyond it, it uses temporary files."""
_MICROSECONDS = 1_000_000


def read(
    path: str,
    columns: Columns,
    *,
    labelled: bool = True,
    partition: Mapping[str, str] | None = None,
    further_faults: Callable[[pd.DataFrame], Sequence[Fault]] = lambda _: (),
) -> Content:
    """Reads every row of the file at `path` (local or s3://), valid or not, in the file's order.

    Args:
        columns: the columns to read; others are ignored.
        labelled: whether the file must have the label; without, a label column is ignored.
        partition: columns that the file's path gives, as Hive's `day=2026-03-01`; a column of the file comes first.
        further_faults: finds faults beside those of the contract; it may add columns to the frame.

    Raises:
        DataError: the file is missing, empty, damaged, in another encoding or format, or lacks columns. The message has
            the file, the line if there is one, and what to do.
        CloudError: S3 denies access or cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="fraudops-read-") as name:
        folder = Path(name)
        wanted = _Wanted(columns, labelled, dict(partition or {}), further_faults)
        staged = staging.stage(path, folder)
        return _read_parquet(staged, wanted, folder) if staged.parquet else _read_csv(staged, wanted, folder)


def column_names(path: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of the file's columns in its order; `wanted` help to find the delimiter of CSV. Raises as `read`."""
    with tempfile.TemporaryDirectory(prefix="fraudops-read-") as name:
        staged = staging.stage(path, Path(name))
        if not staged.parquet:
            return csv_text.header(path, staged.local, wanted).names
        with _connection(Path(name)) as database, _readable(path):
            return tuple(_types(database, staged))


@contextmanager
def _connection(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,  # rows in the file's order; and no thread outlives the reading
        "memory_limit": _MEMORY,
        "temp_directory": str(folder / "spill"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=settings) as database:
        database.execute("SET TimeZone = 'UTC'")
        yield database


@contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"{path}: cannot be read ({_first_line(error)}); export it again") from error


@dataclass(frozen=True)
class _Wanted:
    """The arguments of `read`."""

    columns: Columns
    labelled: bool
    partition: Mapping[str, str]
    further_faults: Callable[[pd.DataFrame], Sequence[Fault]]

    def casts(self, where: str, names: Sequence[str]) -> list[Cast]:
        """What is read of a file with the columns `names`. Raises DataError if some are missing."""
        every = (*names, *(name for name in self.partition if name not in names))
        problem = data_contract.layout_problem(every, self.columns, labelled=self.labelled)
        if problem:
            raise DataError(f"{where}: {problem}")
        return cell_types.casts(every, self.columns, labelled=self.labelled)


def _read_parquet(staged: StagedFile, wanted: _Wanted, folder: Path) -> Content:
    path = staged.path
    source = f"read_parquet({_literal(str(staged.local))}, hive_partitioning=false, file_row_number=true)"
    with _connection(folder) as database:
        try:
            types = _types(database, staged)
        except duckdb.Error as error:
            reason = _first_line(error).replace(str(staged.local), path)
            raise DataError(f"{path}: is not a readable Parquet file ({reason}); export it again") from error
        found = wanted.casts(path, tuple(types))
        for cast in found:
            cell_types.check_type(path, cast, types.get(cast.source, "VARCHAR"), wanted.columns)

        def raw_of(rows: NDArray[np.int64]) -> RawRows:
            database.register("faulty", pa.table({"place": rows}))
            texts = ", ".join(f"t.{_quoted(name)}" for name in types)
            join = f"{source} AS t SEMI JOIN faulty AS f ON t.file_row_number = f.place"
            query = f"SELECT t.file_row_number, {texts} FROM {join}"  # noqa: S608 - names are quoted
            raw = {int(row[0]): line_of(row[1:]) for row in database.sql(query).fetchall()}
            return RawRows(unit="row", names=tuple(types), numbers={at: at + 1 for at in raw}, texts=raw)

        with _readable(path):
            cells = {name: (_quoted(name), kind) for name, kind in types.items()}
            table = _select(database, found, cells, wanted.partition, source)
            if not table.num_rows:
                raise DataError(f"{path}: has columns and no rows; give a file with rows")
            return _content(staged, wanted, found, _Rows(table=table, raw_of=raw_of))


def _read_csv(staged: StagedFile, wanted: _Wanted, folder: Path) -> Content:
    path, text, columns = staged.path, staged.local, wanted.columns
    head = csv_text.header(path, text, {*columns.inputs, columns.label})
    found = wanted.casts(f"{path}: line {head.number}", head.names)
    plain, check = text, csv_text.check_lines(text, head)
    if not check.plain or head.number > 1:
        plain = folder / "plain"
        check = csv_text.write_plain(text, plain, head)
    with _connection(folder) as database, _readable(path):
        cells = {name: (f"c{place}", "VARCHAR") for place, name in enumerate(head.names)}
        table = _select(database, found, cells, wanted.partition, _csv_source(plain, head))
        refused = {int(line) for (line,) in database.sql("SELECT DISTINCT line FROM reject_errors").fetchall()}
    refused |= check.unreadable
    if table.num_rows + len(refused) + 1 != check.filled:
        raise DataError(
            f"{path}: {check.filled - 1} lines follow the header, but {table.num_rows} rows were read and "
            f"{len(refused)} refused; save the file as plain CSV with one row on each line"
        )
    whole: list[Fault] = []
    places = None
    lines = csv_text.Lines(local=text, header=head)
    if refused:
        whole = lines.faults(refused)
        places = np.flatnonzero(~np.isin(lines.numbers, sorted(refused)))
    if not table.num_rows and not whole:
        raise DataError(f"{path}: line {head.number} is a header, but there are no rows; give a file with rows")
    rows = _Rows(table=table, raw_of=lines.raw, whole=whole, places=places)
    return _content(staged, wanted, found, rows)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """The rows that DuckDB read, and those that it refused.

    `whole` are faults of whole rows; `places` are the positions of the rows of `table` among all rows, None for all.
    `raw_of` gives the raw rows at positions.
    """

    table: pa.Table
    raw_of: Callable[[NDArray[np.int64]], RawRows]
    whole: Sequence[Fault] = ()
    places: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows) + sum(len(fault.rows) for fault in self.whole)

    def array(self, at: int, cast: Cast) -> NDArray[Any]:
        """The values of column `at` for all rows: NaN, NaT or '' where there is none."""
        column = self.table.column(at).combine_chunks()
        if cast.kind == cell_types.NUMBER:
            values = column.to_numpy(zero_copy_only=False)
            nothing: Any = np.nan
        elif cast.kind == cell_types.TIME:
            values = column.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False).astype("M8[us]")
            nothing = np.datetime64("NaT", "us")
        else:
            values, nothing = column.to_numpy(zero_copy_only=False), ""
        if self.places is None:
            return np.asarray(values)
        spread = np.full(len(self), nothing, dtype=values.dtype)
        spread[self.places] = values
        return spread

    def uncast(self, at: int) -> NDArray[np.int64]:
        """The positions of the rows whose value in column `at` could not be cast."""
        column = self.table.column(at)
        if not column.null_count:
            return np.empty(0, dtype=np.int64)
        rows: NDArray[np.int64] = np.flatnonzero(column.is_null().to_numpy())
        return rows if self.places is None else self.places[rows]


def _content(staged: StagedFile, wanted: _Wanted, found: Sequence[Cast], rows: _Rows) -> Content:
    columns, partition = wanted.columns, wanted.partition
    arrays: dict[str, Any] = {}
    for at, cast in enumerate(found):
        values = rows.array(at, cast)
        if cast.name == EVENT_TIME:
            arrays[cast.name] = pd.Series(values).dt.tz_localize("UTC")
        elif cast.kind == cell_types.TIME:  # the model's time, in seconds since 1970
            seconds = values.astype(np.int64) / _MICROSECONDS
            arrays[cast.name] = np.where(np.isnat(values), np.nan, seconds)
        else:
            arrays[cast.name] = values
    frame = pd.DataFrame(arrays, copy=False)
    uncast = {at: rows.uncast(at) for at, cast in enumerate(found) if cast.name != EVENT_TIME}
    as_read = frame.copy(deep=False)  # without the columns that `further_faults` may add
    further = wanted.further_faults(frame)
    faulty = positions([*rows.whole, *data_contract.faults(as_read, columns), *further])
    faulty = np.union1d(faulty, np.concatenate([*uncast.values(), np.empty(0, dtype=np.int64)])).astype(np.int64)
    raw = rows.raw_of(faulty) if len(faulty) else RawRows(unit="line", names=(), numbers={}, texts={})
    seen: dict[tuple[str, str, str], list[int]] = {}
    for at, places in uncast.items():
        cast = found[at]
        for row in places.tolist():
            text = partition[cast.source] if cast.source in partition and cast.source not in raw.names else None
            kind, rule = cell_types.rule_of(cast, raw.cell(row, cast.source) if text is None else text)
            seen.setdefault((kind, cast.name, rule), []).append(row)
    broken = [Fault(kind=kind, column=name, rule=rule, rows=np.array(at)) for (kind, name, rule), at in seen.items()]
    every = all_faults(as_read, columns, [*rows.whole, *broken], further) if len(faulty) else ()
    sources = {cast.name: cast.source for cast in found}
    return Content(
        path=staged.path,
        bytes=staged.bytes,
        sha256=staged.sha256,
        frame=frame,
        faults=tuple(replace(fault, column=sources.get(fault.column or "", fault.column)) for fault in every),
        raw=raw,
    )


def _types(database: duckdb.DuckDBPyConnection, staged: StagedFile) -> dict[str, str]:
    """The columns of the Parquet file and their types in DuckDB's words."""
    source = f"read_parquet({_literal(str(staged.local))}, hive_partitioning=false)"
    return {name: kind for name, kind, *_ in database.sql(f"DESCRIBE SELECT * FROM {source}").fetchall()}  # noqa: S608 - a quoted path


def _csv_source(plain: Path, head: Header) -> str:
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(head.names)))
    return (
        f"read_csv({_literal(str(plain))}, header=false, skip={head.number}, columns={{{columns}}}, auto_detect=false, "
        f"delim={_literal(head.delimiter)}, quote='\"', escape='\"', compression='none', store_rejects=true, "
        f"parallel=false)" + (" WHERE c0 IS NOT NULL" if len(head.names) == 1 else "")
    )


def _select(
    database: duckdb.DuckDBPyConnection,
    found: Sequence[Cast],
    cells: Mapping[str, tuple[str, str]],
    partition: Mapping[str, str],
    source: str,
) -> pa.Table:
    """The cast columns of all rows; `cells` are the columns of the file as SQL, and their types."""
    parts = []
    for at, cast in enumerate(found):
        column, kind = cells.get(cast.source) or (_literal(partition[cast.source]), "VARCHAR")
        parts.append(f"{cell_types.expression(cast, column, kind)} AS v{at}")
    return database.sql(f"SELECT {', '.join(parts)} FROM {source}").to_arrow_table()  # noqa: S608 - names are quoted


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
