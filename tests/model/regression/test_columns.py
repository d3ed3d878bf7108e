"""The columns are those of the scikit-learn transformers, and the part of a model scores as they do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ml.model import feature_transformers
from ml.model.category_levels import Levels
from ml.model.regression import columns as regression_columns
from ml.model.regression.columns import RegressionColumns, Value
from ml.model.training_settings import Columns, TimeColumn
from tests.model.training_samples import TRAINING, WITH_CATEGORIES, changed, rows_with_categories

MILLISECONDS = dataclasses.replace(
    WITH_CATEGORIES, time=TimeColumn(column="Time", unit="epoch_milliseconds", zone="UTC")
)


@pytest.mark.parametrize("columns", [WITH_CATEGORIES, MILLISECONDS], ids=["seconds", "milliseconds"])
def test_columns_are_those_of_the_transformers(columns: Columns) -> None:
    """On the fitted rows, and on others with unseen levels and values beyond the edges."""
    training = changed(columns=columns)
    X, _ = rows_with_categories()
    other = rows_with_categories(500, seed=1)[0].assign(shop="unseen", Amount=lambda frame: frame["Amount"] * 100 - 50)
    transform = feature_transformers.build(columns, training.binning, training.categories.min_rows).fit(X)
    made = RegressionColumns.of(training, X)
    for frame in (X, other):
        design, expected = made.design(frame), transform.transform(frame)
        np.testing.assert_allclose(design.values, expected[:, :4], atol=1e-9)
        assert np.array_equal(np.column_stack(design.codes), expected[:, 4:])
    assert made.sizes == (5, 4, *(len(levels) + 1 for _, levels in made.levels))


@pytest.mark.parametrize("value", [0.0, 7.25, 1e12, 0.1])
def test_a_constant_has_the_scale_1(value: float) -> None:
    """Also where rounding gives it a variance."""
    made = Value.of("V1", "identity", np.full(1_001, value))
    assert made.scale == 1.0
    assert made.scaled(np.full(3, value)) == pytest.approx(0.0, abs=1e-3)


def test_amounts_below_zero_count_as_zero() -> None:
    """In the logarithm; bins see the amount itself."""
    made = Value(name="Amount", transform="log1p", mean=0.0, scale=2.0)
    assert made.scaled(np.array([-5.0, 0.0, np.e - 1])).tolist() == pytest.approx([0.0, 0.0, 0.5])


def test_layout_of_the_frame_changes_no_bit() -> None:
    """Column by column, row by row, or with other columns between."""
    X, _ = rows_with_categories()
    numbers = ["V1", "V2", "V3", "Amount", "Time"]
    by_row = pd.DataFrame(np.ascontiguousarray(X[numbers]), columns=numbers)
    by_row[["shop", "country"]] = X[["shop", "country"]]
    training = changed(columns=WITH_CATEGORIES)
    first, second = RegressionColumns.of(training, X), RegressionColumns.of(training, by_row)
    assert first.values == second.values
    assert np.array_equal(first.design(X).values, second.design(by_row).values)


def test_level_codes_are_the_places_of_the_scorer() -> None:
    """The rule for texts is the same in training and in requests."""
    texts, levels = ["b", "", "unseen", "a", "b "], ("", "a", "b")
    assert regression_columns.level_codes(pd.Series(texts), levels).tolist() == Levels(levels).places(texts)


def test_part_has_the_weights_in_their_places() -> None:
    """The value's, the intercept, bins by edge, levels and `other`."""
    training = changed(TRAINING, columns=WITH_CATEGORIES)
    X, _ = rows_with_categories()
    made = RegressionColumns.of(training, X)
    part = made.part(np.arange(4 + 1 + sum(made.sizes), dtype=np.float64))
    assert [term.coefficient for term in part.features] == [0, 1, 2, 3]
    assert part.intercept == 4
    assert [table.coefficients for table in part.bins] == [(5, 6, 7, 8, 9), (10, 11, 12, 13)]
    shops, countries = part.levels
    assert (*shops.coefficients, shops.other) == tuple(range(14, 14 + made.sizes[2]))
    assert (*countries.coefficients, countries.other) == tuple(range(14 + made.sizes[2], 14 + sum(made.sizes[2:])))
