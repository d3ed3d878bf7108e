"""Tests of the scorer: its formula, and its agreement with scikit-learn."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.model.scorer import Scorer
from tests.harness.columns import ulb_columns
from tests.model.scoring_samples import ADAPTED, DOCUMENT, changed, rows, scorer

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
ORDINARY = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
DOCUMENTS = pytest.mark.parametrize("document", [DOCUMENT, ADAPTED], ids=["one part", "two parts"])
ROW = st.tuples(FINITE, FINITE, FINITE, st.floats(min_value=0, allow_infinity=False))


def part_by_hand(part: dict[str, Any], row: list[float]) -> float:
    """The log-odds of one part of a document term by term from its schema, in exact summation."""
    values = dict(zip(DOCUMENT["inputs"], row, strict=True))
    terms = [part["intercept"]]
    for term in part["features"]:
        x = values[term["name"]]
        low, high = term["limits"] or (-math.inf, math.inf)
        x = min(max(x, low), high)
        x = math.log1p(x) if term["transform"] == "log1p" else x
        terms.append(term["coefficient"] * (x - term["mean"]) / term["scale"])
    for table in part["bins"]:
        x = values[table["input"]]
        x = math.floor(x / 3600) % 24 if table["kind"] == "hour_of_day" else x
        terms.append(table["coefficients"][sum(edge <= x for edge in table["edges"])])
    line = part["recalibration"] or {"slope": 1.0, "intercept": 0.0}
    return float(line["slope"] * math.fsum(terms) + line["intercept"])


def by_hand(row: list[float], document: dict[str, Any] = DOCUMENT) -> float:
    """The probability of a document: that of either part."""
    neither = 1.0
    for part in document["parts"]:
        z = part_by_hand(part, row)
        neither *= 1 / (1 + math.exp(z)) if z < 0 else math.exp(-z) / (1 + math.exp(-z))
    return 1 - neither


@DOCUMENTS
def test_score_matches_formula_term_by_term(document: dict[str, Any]) -> None:
    """The folded evaluation equals the document's formula to 1e-12 on a thousand rows; so do the parts' log-odds."""
    X = rows(1000) * np.array([1, 3, 3, 1])
    model = scorer(document)
    expected = [by_hand(row, document) for row in X.tolist()]
    np.testing.assert_allclose(model.score(X), expected, rtol=0, atol=1e-12)
    log_odds = [[part_by_hand(part, row) for part in document["parts"]] for row in X.tolist()]
    np.testing.assert_allclose(model.log_odds(X), log_odds, rtol=0, atol=1e-12)


def test_adapted_score_is_at_least_that_of_each_part() -> None:
    """p = 1 - (1 - p_known)(1 - p_new): the second part can only add alarms."""
    X = rows(2000)
    model = scorer(ADAPTED)
    with np.errstate(over="ignore"):
        parts = 1 / (1 + np.exp(-model.log_odds(X)))
    scores = model.score(X)
    assert (scores >= parts.max(axis=1)).all()
    np.testing.assert_allclose(scores, 1 - (1 - parts).prod(axis=1), rtol=0, atol=1e-15)


def test_calibrated_score_follows_the_line_of_history() -> None:
    """The line maps the log-odds of a first training; the order of rows stays."""
    X = rows(1000)
    model, line = scorer(), DOCUMENT["history"]
    log_odds = [part_by_hand(DOCUMENT["parts"][0], row) for row in X.tolist()]
    expected = [1 / (1 + math.exp(-(line["slope"] * each + line["intercept"]))) for each in log_odds]
    found = model.calibrated(X)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert (np.argsort(found, kind="stable") == np.argsort(model.score(X), kind="stable")).all()


def test_calibrated_score_of_an_adapted_model_is_its_score() -> None:
    """An adaptation is fitted at the natural rate of frauds."""
    X = rows(100)
    assert (scorer(ADAPTED).calibrated(X) == scorer(ADAPTED).score(X)).all()


@DOCUMENTS
def test_calibrated_row_has_the_bits_of_a_batch(document: dict[str, Any]) -> None:
    """One row of Python floats and a batch give the same fraud rate; a row of another width is refused."""
    model, X = scorer(document), rows(500)
    np.testing.assert_array_equal([model.calibrated_row(row) for row in X.tolist()], model.calibrated(X))
    with pytest.raises(ValueError, match="a row must have 4 numbers"):
        model.calibrated_row([1.0])


@pytest.mark.parametrize("amount", [5.0, 50.0, np.nextafter(5.0, 0), np.nextafter(50.0, 100)])
def test_amount_on_an_edge_is_in_the_bin_above(amount: float) -> None:
    """Bins are closed below and open above."""
    row = [0.0, 0.0, 0.0, float(amount)]
    assert scorer().score([row])[0] == pytest.approx(by_hand(row), abs=1e-12)


@DOCUMENTS
def test_score_does_not_depend_on_layout_or_row_count(document: dict[str, Any]) -> None:
    """C order, Fortran order, float32, a slice, one row or many blocks score alike; no rows give no scores."""
    model, X = scorer(document), rows(40_000)
    scores = model.score(X)
    np.testing.assert_array_equal(model.score(np.asfortranarray(X)), scores)
    np.testing.assert_array_equal(model.score(X[::-1])[::-1], scores)
    np.testing.assert_allclose(model.score(X.astype(np.float32)), scores, atol=1e-3)
    np.testing.assert_array_equal([model.score_row(row) for row in X[:500].tolist()], scores[:500])
    assert model.score(np.empty((0, 4))).shape == (0,)


@DOCUMENTS
@given(st.lists(ROW, min_size=1, max_size=40), st.data())
@settings(deadline=None)
def test_decision_at_threshold_does_not_depend_on_other_rows(
    document: dict[str, Any], batch: list[tuple[float, ...]], data: st.DataObject
) -> None:
    """A row whose score is the threshold is an alert alone and in any part of any batch."""
    X = np.array(batch)
    chosen = data.draw(st.integers(0, len(batch) - 1))
    model = scorer(changed("threshold.score", scorer(document).score_row(list(batch[chosen])), document))
    scores = model.score(X)
    singles = [model.score_row(list(row)) for row in batch]
    np.testing.assert_array_equal(scores, singles)
    first = data.draw(st.integers(0, chosen))
    part = model.score(np.asfortranarray(X[first : data.draw(st.integers(chosen + 1, len(batch)))]))
    np.testing.assert_array_equal(part, scores[first : first + len(part)])
    np.testing.assert_array_equal(model.decide(scores), [single >= model.threshold.score for single in singles])
    assert model.decide(scores)[chosen] == model.decide(part)[chosen - first] == 1


def test_wide_model_sums_in_one_order() -> None:
    """Thirty inputs, where a sum by vector instructions would differ: blocks, odd sizes and single rows agree."""
    random = np.random.default_rng(5)
    names = [f"V{index}" for index in range(1, 29)]
    terms = [
        {
            "name": name,
            "transform": "identity",
            "limits": None if index % 3 else [-2.0, 2.5],
            "mean": 0.1,
            "scale": 1.1,
            "coefficient": float(random.normal()),
        }
        for index, name in enumerate(names)
    ]
    made = changed("inputs", ["Time", *names, "Amount"], ADAPTED)
    for part in made["parts"]:
        part["features"] = [*terms, part["features"][-1]]
    model = scorer(made)
    X = random.normal(size=(9_001, 30)) * 3
    scores = model.score(X)
    np.testing.assert_array_equal(scores[:2000], [model.score_row(row) for row in X[:2000].tolist()])
    for size in (1, 3, 17, 1000, 4097):
        np.testing.assert_array_equal(model.score(X[-size:]), scores[-size:])


def test_score_does_not_change_its_input() -> None:
    """`score` does not write to its argument."""
    X = rows(100)
    before = X.copy()
    scorer().score(X)
    scorer().score(np.asfortranarray(X))
    assert (before == X).all()


@DOCUMENTS
@given(st.lists(ROW, min_size=1, max_size=20))
@settings(deadline=None)
def test_finite_rows_have_probabilities(document: dict[str, Any], batch: list[tuple[float, ...]]) -> None:
    """No finite row gives NaN, a warning or a number outside 0 to 1; both ways of scoring agree."""
    model = scorer(document)
    scores = model.score(batch)
    assert ((scores >= 0) & (scores <= 1)).all()
    for row, score in zip(batch, scores, strict=True):
        assert model.score_row(row) == score


def test_overflowing_terms_are_summed() -> None:
    """If the sum of products overflows, its sign still decides: 0, 1, or the rest of the terms."""
    model = scorer(changed("parts.0.features.1.coefficient", -1.5 / 4))  # weights 0.75 and -0.75
    huge = 1.7e308
    assert model.score([[0, huge, -huge, 1]])[0] == 1 == model.score_row([0, huge, -huge, 1])
    assert model.score([[0, -huge, huge, 1]])[0] == 0 == model.score_row([0, -huge, huge, 1])
    wide = scorer(changed("parts.0.features.0.scale", 1e-3))
    assert wide.score([[0, huge, huge, 1]])[0] == 1 == wide.score_row([0, huge, huge, 1])


def test_clipped_terms_stay_within_their_limits() -> None:
    """In the part for new patterns the largest inputs count as the limit, so they never overflow."""
    model = scorer(ADAPTED)
    limit, beyond = [0.0, 0.0, 4.0, 900.0], [0.0, 0.0, 1.7e308, 1.7e308]
    assert model.log_odds([limit])[0, 1] == model.log_odds([beyond])[0, 1]
    lowest, below = [0.0, 0.0, -4.0, 0.0], [0.0, 0.0, -1.7e308, 0.0]
    assert model.log_odds([lowest])[0, 1] == model.log_odds([below])[0, 1]


@pytest.mark.parametrize("shape", [(4,), (1, 3), (1, 5), (1, 4, 1)])
def test_score_rejects_other_shapes(shape: tuple[int, ...]) -> None:
    """`score` takes rows of exactly the model's inputs."""
    with pytest.raises(ValueError, match=r"X must have the shape \(rows, 4\)"):
        scorer().score(np.zeros(shape))
    with pytest.raises(ValueError, match="4 numbers"):
        scorer().score_row([1.0])


def test_decide_alerts_at_the_threshold() -> None:
    """`decide` alerts from the threshold upwards."""
    assert scorer().decide([0.5, np.nextafter(0.5, 0), 1.0, 0.0]).tolist() == [1, 0, 1, 0]


def fitted(amount_bins: int, hour_bins: int, amount_tail: tuple[float, ...] = ()) -> tuple[Any, Scorer]:
    """A pipeline of the estimator on random rows, and the scorer of its export."""
    pytest.importorskip("imblearn")
    from ml.model import estimator
    from ml.model import training_settings as conf
    from tests.model.fitted_pipelines import pipeline_of

    training = conf.Training(
        estimator="scikit_learn_pipeline",
        columns=ulb_columns(("V1", "V2")),
        split=conf.Split(train=0.5, validation=0.2, test=0.3),
        binning=conf.Binning(amount_bins=amount_bins, amount_tail=amount_tail, hour_bins=hour_bins),
        categories=conf.Categories(min_rows=20, max_values=100),
        resampling=conf.Resampling(minority_ratio=0.5, neighbours=3),
        regression=conf.Regression(l2_penalty=0.002, max_iterations=1000, tolerance=1e-6),
        threshold=conf.Threshold(policy="fixed", value=0.5),
        out_of_fold=conf.OutOfFold(below_alerts=0, blocks=4),
        alert_budget=0.01,
        min_recall_at_alert_budget=0.8,
        seed=1,
    )
    X = rows(600, seed=3)
    y = (np.arange(600) % 20 == 0).astype(int)
    X[y == 1, 1] += 2
    frame = pd.DataFrame(X, columns=["Time", "V1", "V2", "Amount"])
    found = estimator.fit(training, frame, y)
    return pipeline_of(found), scorer(estimator.export(found, training, 0.5))


@lru_cache(maxsize=2)
def fitted_once(amount_bins: int = 6, hour_bins: int = 8) -> tuple[Any, Scorer]:
    """`fitted`, once for all examples of a property."""
    return fitted(amount_bins, hour_bins)


def both(X: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probabilities of the scikit-learn pipeline and of the scorer."""
    pipeline, model = fitted_once()
    frame = pd.DataFrame(X, columns=list(model.inputs))
    return pipeline.predict_proba(frame)[:, 1], model.score(X)


@given(st.lists(st.tuples(ORDINARY, ORDINARY, ORDINARY, st.floats(0, 1e9)), min_size=1, max_size=10))
@settings(deadline=None, max_examples=60)
def test_scorer_matches_pipeline(batch: list[tuple[float, ...]]) -> None:
    """Up to a million standard deviations out, the scorer and scikit-learn agree to 1e-9."""
    theirs, ours = both(np.array(batch))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@given(st.lists(st.tuples(FINITE, FINITE, FINITE, st.floats(0, allow_infinity=False)), min_size=1, max_size=10))
@settings(deadline=None, max_examples=60)
def test_scorer_matches_pipeline_on_extreme_rows(batch: list[tuple[float, ...]]) -> None:
    """On any finite rows at all the two agree to 1e-9, or differ by no more than rounding moves the log-odds.

    Where terms beyond 1e6 cancel, scikit-learn's own answer is a matter of rounding: the bound is the textbook one
    for a sum of n products, n * epsilon * the sum of their magnitudes. Where its sum overflows there is no answer.
    """
    _, model = fitted_once()
    X = np.array(batch)
    with np.errstate(all="ignore"):
        magnitude = np.abs(X[:, 1:3] * np.array(model._parts[0]._weights[1:3])).sum(axis=1)
    X = X[magnitude < 1e300]
    magnitude = magnitude[magnitude < 1e300]
    if not len(X):
        return
    theirs, ours = both(X)
    bound = 1e-9 + 64 * np.finfo(float).eps * magnitude
    assert (np.abs(ours - theirs) <= bound).all()


@pytest.mark.parametrize(
    ("amount_bins", "hour_bins", "amount_tail"),
    [(0, 0, ()), (1, 1, ()), (10, 0, ()), (0, 24, ()), (10, 8, (0.95, 0.99)), (0, 0, (0.99,))],
)
def test_scorer_matches_pipeline_for_every_binning(
    amount_bins: int, hour_bins: int, amount_tail: tuple[float, ...]
) -> None:
    """With or without bins of either kind, the scorer and scikit-learn agree to 1e-9 on new rows."""
    pipeline, model = fitted(amount_bins, hour_bins, amount_tail)
    X = rows(2000, seed=9)
    frame = pd.DataFrame(X, columns=list(model.inputs))
    np.testing.assert_allclose(model.score(X), pipeline.predict_proba(frame)[:, 1], rtol=0, atol=1e-9)
