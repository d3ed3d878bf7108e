"""Partitions of prepared rows: row groups of Parquet files that every machine has.

The partitions depend on the files alone, so sums that are taken in each and added in order do not depend on the number
of executors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ml.model.training_settings import Columns
from ml.steps.job_runner import StepFailed
from ml.steps.prepared_files import LABEL, TIME

PARTITION_ROWS = 1 << 16
"""A partition has as many consecutive row groups as have at most so many rows, and one at least: some 16 MB."""
_MOST_PARTITIONS = 2_048  # of more, Spark's driver would be busy with starting tasks; partitions are larger instead


@dataclass(frozen=True, kw_only=True)
class RowGroups:
    """Consecutive row groups of a file: one partition. `path` is that of every machine."""

    path: str
    numbers: tuple[int, ...]


def of_part(folder: Path, part: str) -> list[RowGroups]:
    """The partitions of a part of the prepared rows, oldest rows first.

    Raises:
        StepFailed: the part is missing.
    """
    path = folder / f"{part}.parquet"
    if not path.is_file():
        raise StepFailed(f"{path}: no such file; the Prepare step must have run")
    with pq.ParquetFile(path) as file:
        rows = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    limit = max(PARTITION_ROWS, sum(rows) // _MOST_PARTITIONS)
    return [RowGroups(path=str(path), numbers=numbers) for numbers in together(rows, limit)]


def together(rows: list[int], limit: int) -> list[tuple[int, ...]]:
    """The numbers of the row groups of each partition, given the rows of each."""
    made: list[tuple[int, ...]] = []
    held = 0
    for number, count in enumerate(rows):
        if made and held + count <= limit:
            made[-1], held = (*made[-1], number), held + count
        else:
            made.append((number,))
            held = count
    return made


@dataclass(frozen=True)
class Labelled:
    """Some rows: their inputs, labels, and event times, datetime64[us] in UTC."""

    inputs: pd.DataFrame
    labels: NDArray[np.int8]
    times: NDArray[np.datetime64]

    @classmethod
    def read(cls, group: RowGroups, columns: Columns) -> Labelled:
        """The rows of a partition."""
        with pq.ParquetFile(group.path) as file:
            table = file.read_row_groups(group.numbers, [*columns.inputs, LABEL, TIME], use_threads=False)
        frame = table.select(list(columns.inputs)).to_pandas(use_threads=False)
        times = table[TIME].to_numpy().astype("datetime64[us]")
        return cls(frame, table[LABEL].to_numpy().astype(np.int8), times)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """The values of an input that is a number, in a memory layout of their own."""
        return np.ascontiguousarray(self.inputs[name].to_numpy(dtype=np.float64))


def labels(group: RowGroups) -> NDArray[np.int8]:
    """The labels of a partition."""
    with pq.ParquetFile(group.path) as file:
        return np.asarray(file.read_row_groups(group.numbers, [LABEL])[LABEL].to_numpy(), dtype=np.int8)
