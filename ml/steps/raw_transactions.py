"""Reads the lake's transactions: ids and times as a whole, all columns of any rows as they are needed.

Every row group is checked when it is read: types, missing and infinite values, texts that are too long.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.model.stored_rows import BLOCK_ROWS
from ml.model.training_settings import Columns
from ml.steps import category_columns
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_files import ID, LABEL, TIME

_TIMES = pa.timestamp("us", tz="UTC")
_KEPT_GROUPS = 2
_MAX_BLOCKS = 32  # that are written from one pass over the row groups: two million rows
_MAX_PASSES = 3  # over all row groups


class RawTransactions:
    """The transactions below a data set's raw/, in the order of the files' names and of their rows.

    `ids` are the events' ids, `times` their times in microseconds since 1970. Further columns that all files have are
    kept, so that a champion with other inputs can be scored on these rows; text that is no input is not.
    """

    def __init__(self, dataset: Path, columns: Columns) -> None:
        """Reads ids and times.

        Raises:
            StepFailed: there is no file, a column is missing or a category is no text, or an id or a time is missing.
        """
        self._dataset, self._columns = dataset, columns
        files, self.schema = files_of(dataset, columns)
        keys = pa.schema([self.schema.field(ID), self.schema.field(TIME)])
        table = pa.concat_tables([self._cast(pq.read_table(file, columns=keys.names), keys, file) for file in files])
        for name in keys.names:
            if table[name].null_count:
                raise StepFailed(missing(name, table[name].null_count, len(table)))
        self.ids: pa.ChunkedArray = table[ID]
        self.times: NDArray[np.int64] = table[TIME].cast(pa.int64()).to_numpy()
        self._groups: list[tuple[Path, int]] = []
        counts = [0]
        for file in files:
            metadata = pq.read_metadata(file)
            self._groups += [(file, group) for group in range(metadata.num_row_groups)]
            counts += [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._starts = np.cumsum(counts)
        self._recent: OrderedDict[int, pa.Table] = OrderedDict()
        self._read: set[int] = set()

    def __len__(self) -> int:
        return len(self.times)

    def rows(self, places: NDArray[np.intp]) -> pa.Table:
        """The rows at some places, in that order.

        Raises:
            StepFailed: a row group that has one of them breaks the contract; see `check`.
        """
        groups = self._group_of(places)
        order = np.argsort(groups, kind="stable") if np.any(groups[1:] < groups[:-1]) else None
        places_, groups_ = (places, groups) if order is None else (places[order], groups[order])
        ends = np.flatnonzero(np.diff(groups_, append=-1)) + 1
        made, start = [], 0
        for end in ends.tolist():
            number = int(groups_[start])
            made.append(_chosen(self._group(number), places_[start:end] - self._starts[number]))
            start = end
        if not made:
            return self.schema.empty_table()
        table = pa.concat_tables(made)
        if order is None:
            return table.combine_chunks()
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return table.combine_chunks().take(pa.array(back))

    def rows_at_once(self, places: NDArray[np.intp]) -> int:
        """How many rows of a long selection to ask for at once: few, unless its order mixes all row groups."""
        groups, blocks = self._group_of(places), 1
        while blocks < _MAX_BLOCKS and self._reads(groups, blocks * BLOCK_ROWS) > _MAX_PASSES * len(self._groups):
            blocks *= 2
        return blocks * BLOCK_ROWS

    def check(self, *, all_groups: bool = True) -> None:
        """Checks every row group, or those that were not read.

        Raises:
            StepFailed: a column has another type than the lake's, a value is missing, not finite, or too long for a
                category; with their number among all rows.
        """
        found: Counter[str] = Counter()
        long: Counter[str] = Counter()
        for number in range(len(self._groups)):
            if all_groups or number not in self._read:
                table = self._typed(number)
                long.update(category_columns.too_long(table, self._columns))
                found.update(incomplete(table, self._columns))
        if all_groups:
            category_columns.refuse_long(long, len(self))
            for name in self._columns.inputs:
                if found[name]:
                    raise StepFailed(missing(name, found[name], len(self)))
        elif found or long:
            self.check()

    def _group(self, number: int) -> pa.Table:
        table = self._recent.pop(number, None)
        if table is None:
            table = self._typed(number)
            if incomplete(table, self._columns) or category_columns.too_long(table, self._columns):
                self.check()
            self._read.add(number)
        self._recent[number] = table
        if len(self._recent) > _KEPT_GROUPS:
            self._recent.popitem(last=False)
        return table

    def _typed(self, number: int) -> pa.Table:
        path, group = self._groups[number]
        return typed(path, group, self.schema, self._columns, path.relative_to(self._dataset))

    def _cast(self, table: pa.Table, types: pa.Schema, file: Path) -> pa.Table:
        return _cast(table, types, file.relative_to(self._dataset))

    def _group_of(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        return np.asarray(np.searchsorted(self._starts, places, side="right") - 1)

    @staticmethod
    def _reads(groups: NDArray[np.intp], at_once: int) -> int:
        """How often a row group is read that is not kept from before."""
        reads, kept = 0, set[int]()
        for start in range(0, len(groups), at_once):
            needed = np.unique(groups[start : start + at_once]).tolist()
            reads += len({*needed} - kept)
            kept = {*needed[-_KEPT_GROUPS:]}
        return reads


def files_of(dataset: Path, columns: Columns) -> tuple[list[Path], pa.Schema]:
    """The files of transactions, and the types of the columns that are read.

    Raises:
        StepFailed: there is no file, a column is missing, or a category is no text.
    """
    files = sorted((dataset / "raw").rglob("*.parquet"))
    if not files:
        raise StepFailed(f"{dataset / 'raw'}: no Parquet file; import data with `fraudops data import`")
    schemas = [pq.read_schema(file) for file in files]
    names = [ID, TIME, *columns.inputs]
    for file, schema in zip(files, schemas, strict=True):
        absent = [name for name in names if name not in schema.names]
        if absent:
            raise StepFailed(f"{file.relative_to(dataset)}: column {', '.join(absent)} is missing")
    by_name = {str(file.relative_to(dataset)): schema for file, schema in zip(files, schemas, strict=True)}
    category_columns.check_types(by_name, columns)
    shared = set.intersection(*(_numeric(schema) for schema in schemas)) - {*names, LABEL}
    names += sorted(shared)
    kinds = {name: pa.string() if name in columns.categories else pa.float64() for name in names[2:]}
    return files, pa.schema([(ID, pa.string()), (TIME, _TIMES), *kinds.items()])


def typed(path: Path, group: int, types: pa.Schema, columns: Columns, name: Path) -> pa.Table:
    """The rows of a row group, unchecked, with columns of these types.

    Raises:
        StepFailed: a column has another type; the message has the file's `name`.
    """
    with pq.ParquetFile(path) as file:
        table = _cast(file.read_row_group(group, columns=types.names), types, name)
    return category_columns.trimmed(table, columns)


def incomplete(table: pa.Table, columns: Columns) -> dict[str, int]:
    """The number of missing or infinite values of each input that has some."""
    counts = {}
    for name in columns.inputs:
        column = table[name]
        bad = column.null_count
        if name in columns.numbers and not np.isfinite(pc.sum(column, min_count=0).as_py()):
            bad += len(column) - pc.sum(pc.fill_null(pc.is_finite(column), True)).as_py()
        if bad:
            counts[name] = bad
    return counts


def missing(name: str, bad: int, rows: Any) -> str:
    """What is said of a column with `bad` values among so many rows."""
    return f"column {name}: {bad} of {rows} values are missing or not finite"


def _cast(table: pa.Table, types: pa.Schema, name: Path) -> pa.Table:
    try:
        return table.select(types.names).cast(types)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise StepFailed(f"{name}: a column has another type than the lake's: {error}") from error


def _chosen(table: pa.Table, places: NDArray[np.intp]) -> pa.Table:
    first = int(places[0])
    if np.array_equal(places, np.arange(first, first + len(places))):
        return table.slice(first, len(places))
    return table.take(pa.array(places))


def _numeric(schema: pa.Schema) -> set[str]:
    return {field.name for field in schema if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)}
