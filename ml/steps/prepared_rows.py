"""Rows of prepared files, read by column or by row group: memory holds what is asked for, not the files.

Reads only. A block is a row group, or what a selection leaves of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.steps.job_runner import StepFailed


@dataclass(frozen=True)
class _Block:
    """The rows `kept` of one row group of a file; all if it is None."""

    path: Path
    group: int
    rows: int
    kept: NDArray[np.bool_] | None = None


class PreparedRows:
    """Rows of one or more files with the same columns."""

    def __init__(self, blocks: Iterable[_Block], schema: pa.Schema) -> None:
        self._blocks, self._schema = tuple(blocks), schema

    @classmethod
    def of(cls, path: Path) -> PreparedRows:
        """All rows of a file.

        Raises:
            StepFailed: there is no such file.
        """
        if not path.is_file():
            raise StepFailed(f"{path}: no such file; the Prepare step must have run")
        with pq.ParquetFile(path) as file:
            counts = [file.metadata.row_group(group).num_rows for group in range(file.metadata.num_row_groups)]
            return cls((_Block(path, group, rows) for group, rows in enumerate(counts)), file.schema_arrow)

    @classmethod
    def joined(cls, parts: Sequence[PreparedRows]) -> PreparedRows:
        """The rows of all parts, one part after the other."""
        return cls((block for part in parts for block in part._blocks), parts[0]._schema)

    def where(self, kept: NDArray[np.bool_]) -> PreparedRows:
        """The rows that a mask of these rows keeps."""
        made, start = [], 0
        for block in self._blocks:
            own = kept[start : start + block.rows]
            start += block.rows
            if own.all():
                made.append(block)
                continue
            mask = own
            if block.kept is not None:
                mask = block.kept.copy()
                mask[block.kept] = own
            made.append(_Block(block.path, block.group, int(own.sum()), mask))
        return PreparedRows(made, self._schema)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._schema.names)

    def is_text(self, name: str) -> bool:
        """Whether a column has texts."""
        return bool(pa.types.is_string(self._schema.field(name).type))

    @property
    def block_rows(self) -> list[int]:
        """The number of rows of each block."""
        return [block.rows for block in self._blocks]

    def __len__(self) -> int:
        return sum(self.block_rows)

    def __getitem__(self, name: str) -> pd.Series[Any]:
        """One column of all rows."""
        made: pd.Series[Any] = self._table([name]).column(0).to_pandas().rename(name)
        return made

    def block(self, number: int, names: Sequence[str]) -> pd.DataFrame:
        """Some columns of the rows of one block."""
        table = PreparedRows([self._blocks[number]], self._schema)._table(names)
        made: pd.DataFrame = table.to_pandas(split_blocks=True)  # numbers are not copied
        return made

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """Some columns of all rows."""
        made: pd.DataFrame = self._table(names).to_pandas()
        return made

    def _table(self, names: Sequence[str]) -> pa.Table:
        parts = []
        for path, blocks in groupby(self._blocks, key=lambda block: block.path):
            with pq.ParquetFile(path) as file:
                parts += _read(file, list(blocks), list(names))
        return pa.concat_tables(parts) if parts else self._schema.empty_table().select(list(names))


def _read(file: pq.ParquetFile, blocks: Sequence[_Block], names: list[str]) -> list[pa.Table]:
    if all(block.kept is None for block in blocks):
        return [file.read_row_groups([block.group for block in blocks], columns=names)]
    made = []
    for block in blocks:
        table = file.read_row_group(block.group, columns=names)
        made.append(table if block.kept is None else table.filter(pa.array(block.kept)))
    return made
