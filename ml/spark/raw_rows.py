"""Transactions and labels of the lake, brought together by event: each bucket of a hash has all of an event's rows.

What happens to the rows of a bucket is what ml.steps.prepare does to all rows. Failures are values here, because an
exception of an executor would reach the driver as the text of a traceback.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.model.training_settings import Columns
from ml.spark.row_groups import RowGroups, together
from ml.steps import category_columns, id_index, label_files, raw_transactions
from ml.steps.job_runner import StepFailed
from ml.steps.prepare import EPOCH
from ml.steps.prepared_files import ID, LABEL, TIME

ROWS, WHOLE, FINDINGS = "rows", "whole", "findings"
Piece = tuple[str, bytes]
_LABEL_TYPES = pa.schema([(ID, pa.string()), (LABEL, pa.int8()), ("known_at", pa.timestamp("us", tz="UTC"))])


@dataclass(frozen=True)
class Failed:
    """The reason why a step failed on an executor."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Lake:
    """The data set in a folder that every machine has, and what is read of it."""

    dataset: Path
    columns: Columns
    types: pa.Schema

    def checked(self, part: RowGroups) -> Checked | Failed:
        """What is wrong with the values of a partition of transactions."""
        found, long, rows = Counter[str](), Counter[str](), 0
        try:
            for table in self._tables(part):
                rows += len(table)
                found.update(raw_transactions.incomplete(table, self.columns))
                found.update({name: table[name].null_count for name in (ID, TIME) if table[name].null_count})
                long.update(category_columns.too_long(table, self.columns))
        except StepFailed as error:
            return Failed(str(error))
        return Checked(rows=rows, incomplete=found, long=long)

    def by_event(self, buckets: int, source: RowGroups | Path) -> Iterator[tuple[int, Piece]]:
        """The rows of a partition of transactions, or of a file of labels, by the bucket of their event."""
        if isinstance(source, RowGroups):
            for table in self._tables(source):
                yield from _by_event(buckets, ROWS, table)
            return
        for kind, table in zip((WHOLE, FINDINGS), label_files.read_file(source, self.dataset), strict=True):
            yield from _by_event(buckets, kind, table)

    def _tables(self, part: RowGroups) -> Iterator[pa.Table]:
        path = Path(part.path)
        for number in part.numbers:
            yield raw_transactions.typed(path, number, self.types, self.columns, path.relative_to(self.dataset))


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The numbers of rows, of missing or infinite values, and of texts that are too long."""

    rows: int
    incomplete: Counter[str]
    long: Counter[str]


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The labelled rows of a bucket within the window, and how many were left out."""

    table: pa.Table
    counts: Counter[str]
    differing: dict[str, str]
    """An event that occurs in two transactions which differ in a column, by the column's name."""


def partitions(files: Sequence[Path], rows_at_most: int) -> list[RowGroups]:
    """The partitions of the transactions, in the order of the files."""
    made = []
    for file in files:
        metadata = pq.read_metadata(file)
        rows = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        made += [RowGroups(path=str(file), numbers=numbers) for numbers in together(rows, rows_at_most)]
    return made


def join(types: pa.Schema, window: tuple[datetime | None, datetime | None], bucket: list[Piece]) -> Joined:
    """The first row of each event of a bucket that is in the window and has a label."""
    rows = _table(bucket, ROWS, types)
    repeats, firsts = id_index.repeats(rows[ID])
    again, first = (rows.take(pa.array(places)) for places in (repeats, firsts))
    differing = {}
    for name in types.names[1:]:
        differ = pc.invert(pc.equal(again[name], first[name]))
        if pc.any(differ, min_count=0).as_py():
            differing[name] = again[ID][pc.index(differ, True).as_py()].as_py()
    used = np.ones(len(rows), dtype=np.bool_)
    used[repeats] = False
    times = rows[TIME].cast(pa.int64()).to_numpy()
    start, end = window
    if start is not None:
        used &= times >= (start - EPOCH) // timedelta(microseconds=1)
    if end is not None:
        used &= times < (end - EPOCH) // timedelta(microseconds=1)
    inside = int(np.count_nonzero(used))
    known = label_files.joined([(_table(bucket, WHOLE, _LABEL_TYPES), _table(bucket, FINDINGS, _LABEL_TYPES))])
    place = id_index.places(rows[ID], known[ID])
    used &= place >= 0
    chosen = np.flatnonzero(used)
    table = rows.take(pa.array(chosen)).add_column(2, LABEL, pa.array(known[LABEL].to_numpy()[place[chosen]]))
    counts = Counter(
        read=len(rows), repeated_ids=len(repeats), outside_window=len(rows) - len(repeats) - inside,
        unlabelled=inside - len(table),
    )  # fmt: skip
    return Joined(table=table, counts=counts, differing=differing)


def split(buckets: NDArray[np.intp], table: pa.Table) -> Iterator[tuple[int, bytes]]:
    """The rows of each bucket, in their order, in Arrow's form."""
    order = np.argsort(buckets, kind="stable")
    ordered, numbers = table.take(pa.array(order)), buckets[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=-1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(numbers)], strict=False):
        yield int(numbers[start]), packed(ordered.slice(start, end - start))


def packed(table: pa.Table) -> bytes:
    """The table in Arrow's form."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    made: bytes = sink.getvalue().to_pybytes()
    return made


def unpacked(content: bytes) -> pa.Table:
    """The inverse of `packed`."""
    with pa.ipc.open_stream(content) as stream:
        return stream.read_all()


def _by_event(buckets: int, kind: str, table: pa.Table) -> Iterator[tuple[int, Piece]]:
    numbers = (id_index.text_hashes(table[ID]) % np.uint64(buckets)).astype(np.intp)
    for bucket, content in split(numbers, table):
        yield bucket, (kind, content)


def _table(bucket: list[Piece], kind: str, types: pa.Schema) -> pa.Table:
    tables: list[Any] = [unpacked(content) for given, content in bucket if given == kind]
    return pa.concat_tables([types.empty_table(), *tables]).combine_chunks()
