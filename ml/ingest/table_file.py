"""Reads the columns of a file (CSV, gzip or zstd of it, Parquet; local or in S3) with DuckDB, all its rows or none.

Column order does not matter, and columns that nothing names are ignored. Reports cells that are not of their type with
file, line, column and value. What the columns mean is known to `ml.ingest.data_file` and `ml.ingest.label_file`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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
from ml.model.data_contract import Fault

_MEMORY = "1GB"
"""What DuckDB may use beside the result; beyond it, it uses temporary files."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What to read of a file.

    `names` are the columns that it may have; they help to find the delimiter of CSV. `casts` gives what is read of a
    file with these columns, or a message about what is wrong with them. `partition` are columns that the file's path
    gives, as Hive's `day=2026-03-01`; a column of the file comes first.
    """

    names: Collection[str]
    casts: Callable[[Sequence[str]], list[Cast] | str]
    partition: Mapping[str, str] = field(default_factory=dict)

    def of(self, where: str, names: Sequence[str]) -> list[Cast]:
        """The columns to read of a file whose own columns are `names`. Raises DataError, naming `where`."""
        found = self.casts((*names, *(name for name in self.partition if name not in names)))
        if isinstance(found, str):
            raise DataError(f"{where}: {found}")
        return found


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """The rows of a file that DuckDB read, and those that it refused.

    `names` are the file's columns in its order. `whole` are faults of whole rows; `places` are the positions of the
    rows of `table` among all rows, None for all. `raw_of` gives the raw rows at positions.
    """

    staged: StagedFile
    layout: Layout
    names: tuple[str, ...]
    casts: Sequence[Cast]
    table: pa.Table
    raw_of: Callable[[NDArray[np.int64]], RawRows]
    whole: Sequence[Fault] = ()
    places: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return int(self.table.num_rows) + sum(len(fault.rows) for fault in self.whole)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The values of each column for all rows: float64, datetime64[us] in UTC, or text; NaN, NaT or '' for none."""
        return {cast.name: self._array(at, cast) for at, cast in enumerate(self.casts)}

    def content(
        self,
        frame: pd.DataFrame,
        contract: Sequence[Fault],
        further: Sequence[Fault] = (),
        *,
        checked: Collection[str] = (),
    ) -> Content:
        """The content of the file, of which `frame` has all rows.

        Args:
            contract: the faults of `frame`; those of cells that are not of their type are left out.
            further: faults of cells without another.
            checked: columns of which `contract` reports also the cells that are not of their type.
        """
        uncast = {at: self._uncast(at) for at, cast in enumerate(self.casts) if cast.name not in checked}
        faulty = positions([*self.whole, *contract, *further])
        faulty = np.union1d(faulty, np.concatenate([*uncast.values(), np.empty(0, dtype=np.int64)])).astype(np.int64)
        raw = self.raw_of(faulty) if len(faulty) else RawRows(unit="line", names=(), numbers={}, texts={})
        seen: dict[tuple[str, str, str], list[int]] = {}
        for at, rows in uncast.items():
            cast = self.casts[at]
            of_path = self.layout.partition.get(cast.source) if cast.source not in self.names else None
            for row in rows.tolist():
                kind, rule = cell_types.rule_of(cast, raw.cell(row, cast.source) if of_path is None else of_path)
                seen.setdefault((kind, cast.name, rule), []).append(row)
        broken = [
            Fault(kind=kind, column=name, rule=rule, rows=np.array(at)) for (kind, name, rule), at in seen.items()
        ]
        every = all_faults([*self.whole, *broken], contract, further) if len(faulty) else ()
        sources = {cast.name: cast.source for cast in self.casts}
        return Content(
            path=self.staged.path,
            bytes=self.staged.bytes,
            sha256=self.staged.sha256,
            frame=frame,
            faults=tuple(replace(fault, column=sources.get(fault.column or "", fault.column)) for fault in every),
            raw=raw,
        )

    def _array(self, at: int, cast: Cast) -> NDArray[Any]:
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

    def _uncast(self, at: int) -> NDArray[np.int64]:
        """The positions of the rows whose value in column `at` could not be cast."""
        column = self.table.column(at)
        if not column.null_count:
            return np.empty(0, dtype=np.int64)
        rows: NDArray[np.int64] = np.flatnonzero(column.is_null().to_numpy())
        return rows if self.places is None else self.places[rows]


@contextmanager
def opened(path: str, layout: Layout) -> Iterator[TableFile]:
    """Every row of the file at `path` (local or s3://), valid or not, in the file's order, until the context ends.

    Raises:
        DataError: the file is missing, empty, damaged, in another encoding or format, or lacks columns. The message has
            the file, the line if there is one, and what to do.
        CloudError: S3 denies access or cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="fraudops-read-") as name:
        folder = Path(name)
        staged = staging.stage(path, folder)
        with _connection(folder) as database, _readable(path):
            yield (_parquet if staged.parquet else _csv)(database, staged, layout, folder)


def column_names(path: str, wanted: Sequence[str]) -> tuple[str, ...]:
    """The names of the file's columns in its order; `wanted` help to find the delimiter of CSV. Raises as `opened`."""
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


def _parquet(database: duckdb.DuckDBPyConnection, staged: StagedFile, layout: Layout, _: Path) -> TableFile:
    path = staged.path
    source = f"read_parquet({_literal(str(staged.local))}, hive_partitioning=false, file_row_number=true)"
    try:
        types = _types(database, staged)
    except duckdb.Error as error:
        reason = _first_line(error).replace(str(staged.local), path)
        raise DataError(f"{path}: is not a readable Parquet file ({reason}); export it again") from error
    names = tuple(types)
    casts = layout.of(path, names)
    for cast in casts:
        cell_types.check_type(path, cast, types.get(cast.source, "VARCHAR"))

    def raw_of(rows: NDArray[np.int64]) -> RawRows:
        database.register("faulty", pa.table({"place": rows}))
        texts = ", ".join(f"t.{_quoted(name)}" for name in types)
        join = f"{source} AS t SEMI JOIN faulty AS f ON t.file_row_number = f.place"
        query = f"SELECT t.file_row_number, {texts} FROM {join}"  # noqa: S608 - names are quoted
        raw = {int(row[0]): line_of(row[1:]) for row in database.sql(query).fetchall()}
        return RawRows(unit="row", names=names, numbers={at: at + 1 for at in raw}, texts=raw)

    cells = {name: (_quoted(name), kind) for name, kind in types.items()}
    table = _select(database, casts, cells, layout.partition, source)
    if not table.num_rows:
        raise DataError(f"{path}: has columns and no rows; give a file with rows")
    return TableFile(staged=staged, layout=layout, names=names, casts=casts, table=table, raw_of=raw_of)


def _csv(database: duckdb.DuckDBPyConnection, staged: StagedFile, layout: Layout, folder: Path) -> TableFile:
    path, text = staged.path, staged.local
    head = csv_text.header(path, text, layout.names)
    casts = layout.of(f"{path}: line {head.number}", head.names)
    plain, check = text, csv_text.check_lines(text, head)
    if not check.plain or head.number > 1:
        plain = folder / "plain"
        check = csv_text.write_plain(text, plain, head)
    cells = {name: (f"c{place}", "VARCHAR") for place, name in enumerate(head.names)}
    table = _select(database, casts, cells, layout.partition, _csv_source(plain, head))
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
    return TableFile(
        staged=staged,
        layout=layout,
        names=head.names,
        casts=casts,
        table=table,
        raw_of=lines.raw,
        whole=whole,
        places=places,
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
    casts: Sequence[Cast],
    cells: Mapping[str, tuple[str, str]],
    partition: Mapping[str, str],
    source: str,
) -> pa.Table:
    """The cast columns of all rows; `cells` are the columns of the file as SQL, and their types."""
    parts = []
    for at, cast in enumerate(casts):
        column, kind = cells.get(cast.source) or (_literal(partition[cast.source]), "VARCHAR")
        parts.append(f"{cell_types.expression(cast, column, kind)} AS v{at}")
    return database.sql(f"SELECT {', '.join(parts)} FROM {source}").to_arrow_table()  # noqa: S608 - names are quoted


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
