"""Tests of the data contract: layouts, faults, duplicates, digests and ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.model import data_contract
from ml.model.training_settings import Columns
from tests.harness.columns import ulb_columns

KAGGLE = ulb_columns(("V1", "V2"))
BANK = ulb_columns(("V1",), event_id="tx", entity="card")
UNTIMED = ulb_columns(("a",), label="fraud", time=None, amount="value")


def utc(*texts: str) -> pd.Series[pd.Timestamp]:
    """Times in UTC with microseconds, in the readers' type."""
    return pd.Series(np.array(texts, dtype="M8[us]")).dt.tz_localize("UTC")


def frame(**columns: Sequence[object] | pd.Series[pd.Timestamp]) -> pd.DataFrame:
    """Two valid rows in Kaggle's layout; `columns` replace theirs."""
    good: dict[str, Sequence[object] | pd.Series[pd.Timestamp]] = {
        "Time": [0.0, 1.0],
        "V1": [0.5, -0.5],
        "V2": [1.0, 2.0],
        "Amount": [0.0, 9.9],
        "Class": [0.0, 1.0],
    }
    return pd.DataFrame(good | columns)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["Time", "V1", "V2", "Amount", "Class"], KAGGLE),
        (["event_id", "Time", "V1", "V2", "Amount", "Class"], KAGGLE),
        (["Time", "V1", "V2", "Amount", "Class", "event_time", "event_id"], KAGGLE),
        (["event_time", "V1", "V2", "Amount", "Class"], KAGGLE),
        (["event_time", "a", "value", "fraud"], UNTIMED),
        (["a", "value", "fraud"], UNTIMED),
        (["Class", "V3", "V2", "V1", "Amount", "Time"], KAGGLE),
        (["V3", "V3", "Time", "V1", "V2", "Amount", "Class"], KAGGLE),
        (["card", "tx", "Time", "V1", "Amount", "Class"], BANK),
    ],
)
def test_layout_problem_accepts_valid_layouts(names: list[str], columns: Columns) -> None:
    """All named columns in any order, and others beside them; event_time may replace the time column."""
    assert data_contract.layout_problem(names, columns) is None


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (
            ["Time", "V1", "Amount", "Class"],
            KAGGLE,
            "missing 'V2'; data.yaml names the columns Time, V1, V2, Amount, Class; the file has no other columns. C",
        ),
        (
            ["Time", "V1", "v_2", "Amount", "Class", "day"],
            KAGGLE,
            "the file's other columns are v_2, day. Correct the name in model-config/training/data.yaml, or the file",
        ),
        (["Time", "V1", "V2", "Amount", "class"], KAGGLE, "missing 'Class' ('class' is 'Class' in data.yaml)"),
        (["Time", "V1", "V1", "V2", "Amount", "Class"], KAGGLE, "'V1' named more than once"),
        (["Time", "V1", "V2", "Amount", "Class", "event_id", "event_id"], KAGGLE, "'event_id' named more than once"),
        (["V1", "V2", "Amount", "Class"], KAGGLE, "missing 'Time'"),
        (["Time", "V1", "Amount", "Class"], BANK, "missing 'card', 'tx'"),
    ],
)
def test_layout_problem_names_wrong_columns(names: list[str], columns: Columns, message: str) -> None:
    """Missing and repeated columns are named, the file's others, and one that differs only in case or blanks."""
    problem = data_contract.layout_problem(names, columns)
    assert problem is not None
    assert message in problem.text
    assert problem.columns and all(repr(name) in problem.text for name in problem.columns)


@pytest.mark.parametrize(
    ("columns", "kind", "column"),
    [
        ({"V1": [0.0, np.nan]}, "not finite", "V1"),
        ({"V2": [0.0, np.inf]}, "not finite", "V2"),
        ({"Class": [0.0, -np.inf]}, "not finite", "Class"),
        ({"Amount": [0.0, -0.01]}, "negative amount", "Amount"),
        ({"Time": [0.0, -1.0]}, "negative time", "Time"),
        ({"Class": [0.0, 2.0]}, "label outside {0,1}", "Class"),
        ({"Class": [0.0, 0.5]}, "label outside {0,1}", "Class"),
        ({"V2": [data_contract.MAX_MAGNITUDE, 1e200]}, "value out of range", "V2"),
        ({"V2": [-data_contract.MAX_MAGNITUDE, -1.1e12]}, "value out of range", "V2"),
        ({"Amount": [data_contract.MAX_MAGNITUDE, 1e13]}, "value out of range", "Amount"),
        ({"event_id": ["a", " "]}, "missing event_id", "event_id"),
        ({"event_id": ["a", "a"]}, "duplicate event_id", "event_id"),
        ({"event_id": ["a", "b" * 129]}, "event_id too long", "event_id"),
        ({"event_time": utc("2026-01-01", "NaT")}, "not a time", "event_time"),
    ],
)
def test_faults_locates_broken_rule(
    columns: dict[str, Sequence[object] | pd.Series[pd.Timestamp]], kind: str, column: str
) -> None:
    """Each rule gives one fault, with its kind, its column and the second row's position."""
    found = data_contract.faults(frame(**columns), KAGGLE)
    assert [(fault.kind, fault.column, fault.rows.tolist()) for fault in found] == [(kind, column, [1])]


def test_faults_accepts_valid_rows() -> None:
    """Zero amounts, time zero, negative features and times out of order are valid."""
    times = utc("2026-01-02", "2026-01-01")
    assert data_contract.faults(frame(event_id=["b", "a"], event_time=times), KAGGLE) == []


def test_duplicates_ignores_event_id() -> None:
    """A repeated row counts whatever its id; -0.0 equals 0.0; another time is another row."""
    twice = pd.concat([frame(event_id=["a", "b"]), frame(event_id=["c", "d"], V1=[0.5, -0.0])])
    assert data_contract.duplicates(twice) == 1
    zeros = frame(Time=[0.0, 0.0], V1=[0.0, -0.0], V2=[1.0, 1.0], Amount=[2.0, 2.0], Class=[0.0, 0.0])
    assert data_contract.duplicates(zeros) == 1
    zeros["event_time"] = utc("2026-01-01", "2026-01-02")
    assert data_contract.duplicates(zeros) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0.0, -0.0, 1.5])), max_size=40))
def test_duplicates_matches_set_of_rows(rows: list[tuple[int, int, float]]) -> None:
    """The hashed count equals the count from a set of rows."""
    table = pd.DataFrame(rows, columns=["a", "b", "c"], dtype=float)
    assert data_contract.duplicates(table) == len(rows) - len(set(rows))


def test_content_sha256_depends_on_content_only() -> None:
    """Equal values give an equal digest; another value, name, order or id gives another."""
    digest = data_contract.content_sha256(frame(event_id=["a", "b"]))
    assert digest == data_contract.content_sha256(frame(event_id=["a", "b"]).copy())
    others = [
        frame(),
        frame(event_id=["a", "c"]),
        frame(event_id=["a", "b"], V1=[0.5, -0.4999999999]),
        frame(event_id=["a", "b"]).rename(columns={"V1": "V9"}),
        frame(event_id=["a", "b"]).iloc[::-1],
    ]
    assert len({digest, *(data_contract.content_sha256(other) for other in others)}) == 6


def test_event_ids_are_distinct_sorted_and_repeatable() -> None:
    """Ids are distinct, sort as rows do, and are the same every time."""
    ids = data_contract.event_ids("0123456789abcdef", 1_000)
    assert ids[:2] == ["0123456789ab-000000000", "0123456789ab-000000001"]
    assert ids == sorted(set(ids))
