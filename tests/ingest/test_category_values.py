"""A text column with more values than training allows is named at the import, once."""

from __future__ import annotations

import dataclasses

import pandas as pd

from ml.ingest.category_values import CategoryValues
from tests.harness.columns import ulb_columns

COLUMNS = dataclasses.replace(ulb_columns(("V1",)), categories=("card_id", "shop"))


def frame(*cards: str) -> pd.DataFrame:
    """Rows of these cards, in one shop."""
    return pd.DataFrame({"card_id": cards, "shop": "food", "V1": 0.0})


def test_values_are_counted_over_all_files_and_reported_once() -> None:
    """The warning has the file, the column, the value and what to do; as many as are allowed are none."""
    values = CategoryValues(columns=COLUMNS, max_values=3)
    assert values.add("a.csv", frame("1", "2", "2")) == []
    assert values.add("b.csv", frame("3", "1")) == []
    (warning,) = values.add("c.csv", frame("2", "4", "5"))
    assert warning.startswith(
        "c.csv: column card_id: '4' is different value 4 of this import, and categories.max_values"
    )
    assert "allows training 3. An id, as of a card, is no category: name it as entity or in keep" in warning
    assert values.add("d.csv", frame("6")) == []
