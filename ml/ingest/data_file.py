"""Reads a file of transactions: every row as the data contract types it, with the faults of rows.

Decides nothing about rows with faults.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ml.ingest import cell_types, table_file
from ml.ingest.cell_types import Cast
from ml.ingest.content import Content
from ml.ingest.table_file import Layout
from ml.model import data_contract
from ml.model.data_contract import EVENT_TIME, Fault
from ml.model.training_settings import Columns

_MICROSECONDS = 1_000_000


def read(
    path: str,
    columns: Columns,
    *,
    renamed: Mapping[str, str] | None = None,
    labelled: bool = True,
    partition: Mapping[str, str] | None = None,
    further_faults: Callable[[pd.DataFrame], Sequence[Fault]] = lambda _: (),
) -> Content:
    """Reads every row of the file at `path` (local or s3://), valid or not, in the file's order.

    Args:
        columns: the columns to read; others are ignored.
        renamed: the columns that the file may call otherwise: their name in it, and that in `columns`. Faults have the
            name in the file.
        labelled: whether the file must have the label; without, a label column is ignored.
        partition: columns that the file's path gives, as Hive's `day=2026-03-01`; a column of the file comes first.
        further_faults: finds faults beside those of the contract; it may add columns to the frame.

    Raises:
        DataError, CloudError: as `table_file.opened`.
    """

    def casts(names: Sequence[str]) -> list[Cast] | str:
        known = product_names(names, given)
        problem = data_contract.layout_problem(known, columns, labelled=labelled)
        if problem is not None:
            mapped = [f"{file!r} is {name}" for file, name in given.items() if name in problem.columns]
            return problem.text + (f"; data.yaml renames: {', '.join(mapped)}" if mapped else "")
        found = cell_types.casts(known, columns, labelled=labelled)
        return [replace(cast, source=names[known.index(cast.source)]) for cast in found]

    given = renamed or {}
    layout = Layout(names={*columns.inputs, columns.label, *given}, casts=casts, partition=partition or {})
    with table_file.opened(path, layout) as file:
        arrays: dict[str, Any] = file.arrays()
        for cast in file.casts:
            values = arrays[cast.name]
            if cast.name == EVENT_TIME:
                arrays[cast.name] = pd.Series(values).dt.tz_localize("UTC")
            elif cast.kind == cell_types.TIME:  # the model's time, in seconds since 1970
                seconds = values.astype(np.int64) / _MICROSECONDS
                arrays[cast.name] = np.where(np.isnat(values), np.nan, seconds)
        frame = pd.DataFrame(arrays, copy=False)
        contract = data_contract.faults(frame, columns)  # before `further_faults` may add columns
        return file.content(frame, contract, further_faults(frame), checked=(EVENT_TIME,))


def product_names(names: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """The columns `names` of a file as data.yaml calls them; an umlaut may be one character in it, or two."""
    composed = {unicodedata.normalize("NFC", file): name for file, name in renamed.items()}
    return [composed.get(unicodedata.normalize("NFC", name), name) for name in names]
