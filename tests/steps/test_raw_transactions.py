"""Any rows of the lake in any order, from few readings of its row groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ml.steps import raw_transactions
from ml.steps.job_runner import StepFailed
from ml.steps.raw_transactions import RawTransactions
from tests.harness.fuzzing import examples
from tests.model.training_samples import COLUMNS, WITH_CATEGORIES, rows, rows_with_categories
from tests.steps.step_runs import transactions

pytestmark = pytest.mark.container


def lake(folder: Path, table: pa.Table, *, files: int = 3, group: int = 30) -> None:
    """Writes the rows to several files in row groups."""
    size = -(-len(table) // files)
    for number in range(files):
        path = folder / "raw" / f"{number}" / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(number * size, size), path, row_group_size=group)


@pytest.fixture
def table(tmp_path: Path) -> pa.Table:
    """The rows of a lake in `tmp_path`, of 250 rows in nine row groups."""
    made = transactions([f"e{i}" for i in range(250)], rows_with_categories(250)[0])
    lake(tmp_path, made)
    return made


@settings(examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.integers(0, 249), max_size=300))
def test_rows_are_those_of_the_whole_table(tmp_path: Path, table: pa.Table, places: list[int]) -> None:
    """Ascending, in any order, repeated, none."""
    raw = RawTransactions(tmp_path, WITH_CATEGORIES)
    for chosen in (places, sorted(places)):
        assert raw.rows(np.array(chosen, dtype=np.intp)).equals(table.take(pa.array(chosen, pa.int64())))
    assert raw.ids.to_pylist() == table["event_id"].to_pylist()


@pytest.mark.usefixtures("table")
def test_rows_in_order_are_read_in_few_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in the order of the files need one at a time; a mixed order needs many, but never all."""
    monkeypatch.setattr(raw_transactions, "BLOCK_ROWS", 10)
    raw = RawTransactions(tmp_path, WITH_CATEGORIES)
    in_order, mixed = np.arange(250), np.random.default_rng(0).permutation(250)
    assert raw.rows_at_once(in_order) == 10
    assert 80 <= raw.rows_at_once(mixed) <= 320
    read: list[int] = []
    typed = raw._typed

    def counted(number: int) -> pa.Table:
        read.append(number)
        return typed(number)

    monkeypatch.setattr(raw, "_typed", counted)
    for start in range(0, 250, 10):
        raw.rows(in_order[start : start + 10])
    assert read == list(range(9))


def test_a_bad_value_is_counted_among_all_rows(tmp_path: Path) -> None:
    """Although it is found in one row group, and also if no row of its row group is used."""
    X, _ = rows(250)
    X.loc[[5, 200], "V2"] = [np.inf, np.nan]
    lake(tmp_path, transactions([f"e{i}" for i in range(250)], X))
    for used in ([7], [100]):
        raw = RawTransactions(tmp_path, COLUMNS)
        with pytest.raises(StepFailed, match="column V2: 2 of 250 values are missing or not finite"):
            raw.rows(np.array(used))
            raw.check(all_groups=False)


def test_numbers_whose_sum_overflows_are_finite(tmp_path: Path) -> None:
    """The quick check is a sum; what it suspects is counted."""
    X, _ = rows(20)
    lake(tmp_path, transactions([f"e{i}" for i in range(20)], X.assign(V1=1.5e308)), files=1)
    raw = RawTransactions(tmp_path, COLUMNS)
    raw.check()
    assert len(raw.rows(np.arange(20))) == 20
