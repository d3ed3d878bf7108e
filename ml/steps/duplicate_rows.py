"""Counts transactions with the inputs and the label of an earlier one.

They are kept. Copies in a later part make a test look better than it is: the model was fitted on such a row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ml.steps import id_index
from ml.steps.id_index import Hashes


def row_hashes(table: pa.Table) -> Hashes:
    """A hash of 64 bits of each row: equal rows have equal hashes, and rarely rows that differ."""
    made = np.zeros(len(table), dtype=np.uint64)
    for column in table.itercolumns():
        if pa.types.is_string(column.type):
            bits = id_index.text_hashes(column)
        else:
            bits = (column.to_numpy().astype(np.float64) + 0.0).view(np.uint64)  # -0.0 equals 0.0
        made = id_index.mixed(made, bits)
    return made


def counts(frame: pd.DataFrame, part: NDArray[np.intp]) -> dict[str, int]:
    """The rows that equal an earlier row, and those of them whose first copy is in an earlier part.

    Args:
        frame: in order of time, all rows that have a copy, and perhaps others.
        part: the number of each row's part, ascending.
    """
    copies = frame.duplicated(keep=False).to_numpy()
    group = frame[copies].groupby(list(frame.columns), sort=False, dropna=False).ngroup().to_numpy()
    first = np.full(group.max(initial=-1) + 1, part.max(initial=0) + 1)
    np.minimum.at(first, group, part[copies])
    return {
        "duplicates": int(frame.duplicated().sum()),
        "duplicates_across_parts": int(np.count_nonzero(part[copies] > first[group])),
    }
