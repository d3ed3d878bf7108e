"""Duplicates are those that pandas finds among all rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.steps import duplicate_rows, id_index

pytestmark = pytest.mark.container


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e300]), st.sampled_from(["", "a", "b"]), st.integers(0, 1)),
        min_size=2,
        max_size=80,
    ),
    st.integers(1, 79),
)
def test_duplicates_are_those_of_pandas(rows: list[tuple[float, str, int]], cut: int) -> None:
    """Whatever the values are: 0 and -0 are equal, and text counts."""
    table = pa.table(dict(zip(("V1", "shop", "label"), map(list, zip(*rows, strict=True)), strict=True)))
    cut = min(cut, len(rows) - 1)
    hashes = duplicate_rows.row_hashes(table)
    copies = id_index.shared(hashes)
    frame = table.to_pandas()
    found = duplicate_rows.counts(frame.iloc[copies], (copies >= cut).astype(np.intp))
    assert found["duplicates"] == frame.duplicated().sum()
    seen = {tuple(row) for row in frame[:cut].to_numpy()}
    assert found["duplicates_across_parts"] == sum(tuple(row) in seen for row in frame[cut:].to_numpy())
