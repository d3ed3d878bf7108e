"""The expert's columns: their edges come from the rows alone, and the exported part has the log-odds of the fit."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as extra
from numpy.typing import NDArray

from ml.model.adaptation.expert_columns import (
    AMOUNT_PRECISION,
    AMOUNT_PRECISION_ALONE,
    AMOUNT_TABLES,
    MAX_DEVIATIONS,
    TAIL_PRECISION,
    ExpertColumns,
    amount_levels,
)
from ml.model.scorer import Scorer
from tests.harness.columns import ulb_columns
from tests.model.scoring_samples import CATEGORIES, DOCUMENT, rows

pytestmark = pytest.mark.container
COLUMNS = ulb_columns(("V1", "V2"))
ANY = st.floats(min_value=-1e100, max_value=1e100)


def served(expert: ExpertColumns, weights: NDArray[np.float64], X: NDArray[np.float64]) -> NDArray[np.float64]:
    """The log-odds of the exported part, as the scorer computes them."""
    document = DOCUMENT | {"parts": [DOCUMENT["parts"][0], expert.part(weights)]}
    return Scorer.from_json(json.dumps(document)).log_odds(X)[:, 1]


@pytest.mark.parametrize("tails", [False, True])
@given(extra.arrays(np.float64, st.tuples(st.integers(2, 30), st.just(4)), elements=ANY), st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_exported_part_has_the_log_odds_of_the_design(tails: bool, X: NDArray[np.float64], seed: int) -> None:
    """On the rows that made the columns and on others, the part's log-odds equal the design's product to 1e-9."""
    expert = ExpertColumns.of(COLUMNS, X, tails=tails)
    weights = np.random.default_rng(seed).normal(size=len(expert.precision))
    for values in (X, rows(50), -X):
        np.testing.assert_allclose(
            served(expert, weights, values), expert.design(COLUMNS, values).product(weights), rtol=1e-9, atol=1e-9
        )


@given(st.lists(st.integers(0, 4), min_size=2, max_size=60), st.integers(0, 99), st.booleans())
@settings(deadline=None, max_examples=60)
def test_exported_levels_have_the_log_odds_of_the_design(places: list[int], seed: int, tails: bool) -> None:
    """Each level of a category has a weight, other values one together, wherever the champion's levels are others."""
    columns, levels = ulb_columns(("V1", "V2"), categories=("shop",)), ("a", "b", "food", "z")
    X = np.column_stack([rows(len(places), seed), np.array(places, dtype=np.float64)])
    expert = ExpertColumns.of(columns, X, tails=tails, levels={"shop": levels})
    weights = np.random.default_rng(seed).normal(size=len(expert.precision))
    document = CATEGORIES | {"parts": [CATEGORIES["parts"][0], expert.part(weights)]}
    scorer = Scorer.from_json(json.dumps(document))
    frame = pd.DataFrame(X, columns=list(columns.inputs))
    frame["shop"] = [(*levels, "unseen")[place] for place in places]
    np.testing.assert_allclose(
        scorer.log_odds(scorer.matrix(frame))[:, 1], expert.design(columns, X).product(weights), rtol=1e-9, atol=1e-9
    )


def test_edges_are_quantiles_of_the_rows() -> None:
    """Four tables of amounts have their levels, features two tails of 1, 5, 10 and 25 %; the time has no term."""
    X = rows(4000)
    expert = ExpertColumns.of(COLUMNS, X, tails=True)
    amounts, tails = expert.tables[:AMOUNT_TABLES], expert.tables[AMOUNT_TABLES:]
    for number, table in enumerate(amounts):
        assert (table.name, table.base) == ("Amount", None)
        np.testing.assert_array_equal(table.edges, np.quantile(X[:, 3], amount_levels(number)))
    assert [table.name for table in tails] == ["V1", "V2"]
    counts = np.bincount(tails[0].places(X[:, 1]) + 1, minlength=9)
    assert counts.tolist() == [2000, 40, 160, 200, 600, 600, 200, 160, 40]
    assert [term.name for term in expert.terms] == ["V1", "V2", "Amount"]


def test_amounts_are_held_less_without_tables_of_tails() -> None:
    """The weights of a table of amounts have a weaker prior alone than beside tails, which explain much by chance."""
    X = rows(4000)
    alone, beside = (ExpertColumns.of(COLUMNS, X, tails=tails) for tails in (False, True))
    first, count = alone.intercept + 1, sum(table.width for table in alone.tables)
    assert set(alone.precision[first:]) == {AMOUNT_PRECISION_ALONE}
    assert set(beside.precision[first : first + count]) == {AMOUNT_PRECISION}
    assert 0 < AMOUNT_PRECISION_ALONE < AMOUNT_PRECISION < TAIL_PRECISION
    assert set(beside.precision[first + count :]) == {TAIL_PRECISION}
    np.testing.assert_array_equal(alone.precision[:first], beside.precision[:first])


def test_levels_of_amounts_are_deciles_and_halves_of_what_is_left() -> None:
    """Each table's lie a quarter of a step above those of the one before, and the last below the next of the first."""
    first = [*(tenth / 10 for tenth in range(1, 10)), 0.95, 0.975, 0.9875, 0.99375, 0.996875, 0.9984375]
    np.testing.assert_allclose(amount_levels(0), first, rtol=1e-15)
    np.testing.assert_allclose(amount_levels(2)[:3], [0.15, 0.25, 0.35], rtol=1e-15)
    np.testing.assert_allclose(1 - np.array(amount_levels(2)[8:10]), [0.1 * 2**-0.5, 0.05 * 2**-0.5], rtol=1e-12)
    every = np.array([amount_levels(number) for number in range(AMOUNT_TABLES)])
    assert (np.diff(every.T.ravel()) > 0).all()


def test_part_has_one_table_of_the_amount() -> None:
    """Its edges are those of all tables, and each coefficient is the sum of a weight of each."""
    X = rows(4000)
    expert = ExpertColumns.of(COLUMNS, X, tails=False)
    weights = np.zeros(len(expert.precision))
    weights[expert.intercept + 16] = 1.0  # the last bin of the first table
    weights[expert.intercept + 2 * 16 - 1 + 16] = 2.0  # the last bin but one of the third
    (table,) = expert.part(weights)["bins"]
    levels = sorted(level for number in range(AMOUNT_TABLES) for level in amount_levels(number))
    np.testing.assert_array_equal(table["edges"], np.quantile(X[:, 3], levels))
    assert table["coefficients"][-7:] == [0.0, 2.0, 2.0, 3.0, 3.0, 1.0, 1.0]


def test_constant_and_discrete_columns_have_the_terms_that_they_can() -> None:
    """A constant feature has none; of one with three values, the bins that have rows."""
    X = rows(1000)
    X[:, 1] = 7.0
    X[:, 2] = np.arange(1000) % 3
    expert = ExpertColumns.of(COLUMNS, X, tails=True)
    assert [term.name for term in expert.terms] == ["V2", "Amount"]
    (*_, table) = expert.tables
    assert (table.name, table.edges.tolist(), table.base, table.width) == ("V2", [2.0], 0, 1)
    assert len(expert.precision) == 2 + 1 + 4 * 16 + 1


def test_linear_terms_do_not_extrapolate() -> None:
    """Beyond the rows that it was made from, and beyond eight standard deviations, a term stays as it is."""
    X = rows(1000)
    X[0, 1] = 1000.0
    expert = ExpertColumns.of(COLUMNS, X, tails=False)
    far = np.array([[0.0, 1e9, -1e9, 1e12]])
    linear = expert.design(COLUMNS, far).linear[0]
    furthest = (X[:, 2].min() - X[:, 2].mean()) / X[:, 2].std()
    largest = np.log1p(X[:, 3])
    highest = (largest.max() - largest.mean()) / largest.std()
    np.testing.assert_allclose(linear, [MAX_DEVIATIONS, furthest, highest, 1.0], rtol=1e-12)


def test_moments_and_sums_are_those_of_the_columns() -> None:
    """The sums by block equal those of one dense matrix; chosen rows are the matrix's rows."""
    X = rows(300)
    expert = ExpertColumns.of(COLUMNS, X, tails=True)
    design = expert.design(COLUMNS, X)
    dense = np.hstack([design.linear, design.indicators.toarray()])
    weights = np.random.default_rng(0).random(300)
    np.testing.assert_allclose(design.moments(weights), (dense * weights[:, np.newaxis]).T @ dense, atol=1e-9)
    np.testing.assert_allclose(design.sums(weights), weights @ dense, atol=1e-9)
    chosen = design.rows(weights < 0.3)
    np.testing.assert_array_equal(np.hstack([chosen.linear, chosen.indicators.toarray()]), dense[weights < 0.3])


@pytest.mark.parametrize("tails", [False, True])
def test_data_without_an_amount_has_no_amount_table(tails: bool) -> None:
    """The features alone make the terms and, with tails, the tables."""
    X = np.random.default_rng(0).normal(size=(400, 3))
    columns = ulb_columns(("V1", "V2"), amount=None)
    expert = ExpertColumns.of(columns, X, tails=tails)
    assert [term.name for term in expert.terms] == ["V1", "V2"]
    assert [table.name for table in expert.tables] == (["V1", "V2"] if tails else [])
    design = expert.design(columns, X)
    assert design.product(np.zeros(len(expert.precision))).tolist() == [0.0] * 400
