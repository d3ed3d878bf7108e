"""What the scikit-learn pipeline fits, and that its export equals the pipeline."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from ml.model import estimator
from ml.model.estimators.scikit_learn_pipeline import MeanLossRegression
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from tests.harness.columns import ulb_columns
from tests.model import training_samples
from tests.model.fitted_pipelines import pipeline_of
from tests.model.training_samples import WITH_CATEGORIES, changed, rows, rows_with_categories

TRAINING = dataclasses.replace(training_samples.TRAINING, estimator="scikit_learn_pipeline")

FEWER = [
    TRAINING,
    changed(TRAINING, binning={"amount_bins": 0}),
    changed(TRAINING, binning={"hour_bins": 0}),
    changed(TRAINING, binning={"amount_bins": 0, "hour_bins": 1}),
    changed(TRAINING, resampling={"minority_ratio": 0.0}),
    changed(
        TRAINING,
        columns=ulb_columns(("V1", "V2"), time=None),
        binning={"amount_bins": 3, "hour_bins": 0},
    ),
]


@pytest.mark.container
@pytest.mark.parametrize("training", FEWER, ids=["all", "hours", "amounts", "no bins", "no resampling", "no time"])
def test_export_scores_match_pipeline(training: Training) -> None:
    """Scores of the export equal predict_proba to 1e-9, also on rows far outside the training range."""
    X, y = rows()
    fitted = estimator.fit(training, X, y)
    scorer = Scorer.from_json(json.dumps(estimator.export(fitted, training, 0.5)))
    other, _ = rows(seed=1)
    wild = other * np.random.default_rng(2).choice([1, 30, 1000], size=other.shape)
    for frame in (X, other, wild):
        columns = list(training.columns.inputs)
        expected = pipeline_of(fitted).predict_proba(frame[columns])[:, 1]
        assert np.abs(scorer.score(frame[columns].to_numpy()) - expected).max() < 1e-9


def test_regression_inputs_have_whole_bins_only() -> None:
    """After resampling every row has one amount bin and one hour bin: ones and zeros only."""
    X, y = rows()
    pipeline = pipeline_of(estimator.fit(TRAINING, X, y))
    made, labels = pipeline["features"].transform(X), y
    made, labels = pipeline["resample"].fit_resample(made, labels)
    columns = pipeline["one_hot"].transform(made)
    bins = columns[:, 4:]
    assert len(columns) > len(X)
    assert set(np.unique(bins)) == {0.0, 1.0}
    assert np.all(bins[:, :5].sum(axis=1) == 1)
    assert np.all(bins[:, 5:].sum(axis=1) == 1)


def test_pipeline_does_not_resample_scored_rows() -> None:
    """predict_proba returns one probability per row, in order."""
    X, y = rows()
    pipeline = pipeline_of(estimator.fit(TRAINING, X, y))
    part = X.iloc[[5, 3, 900]]
    assert np.allclose(pipeline.predict_proba(part), pipeline.predict_proba(X)[[5, 3, 900]], rtol=0, atol=1e-12)


TEXT = changed(TRAINING, columns=WITH_CATEGORIES)


@pytest.mark.container
@settings(max_examples=12, deadline=None)
@given(
    names=st.lists(st.text(max_size=8).map(str.strip), min_size=2, max_size=9, unique=True),
    min_rows=st.sampled_from([1, 20, 300, 10_000]),
    seed=st.integers(0, 1000),
)
def test_export_with_random_levels_scores_as_the_pipeline(names: list[str], min_rows: int, seed: int) -> None:
    """Scores agree to 1e-9 for any levels, frequent, rare and unseen, in a batch as in a row."""
    X, y = rows_with_categories(1500, 0.06, seed)
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(len(names), 0.5))
    X["shop"] = [names[at] for at in random.choice(len(names), len(X), p=shares).tolist()]
    training = changed(TEXT, categories={"min_rows": min_rows})
    fitted = estimator.fit(training, X, y)
    scorer = Scorer.from_json(json.dumps(estimator.export(fitted, training, 0.5)))
    other = rows_with_categories(500, seed=seed + 1)[0]  # its shops are unseen
    mixed = pd.concat([X.head(500), other], ignore_index=True)
    scores = scorer.score(scorer.matrix(mixed))
    assert np.abs(scores - pipeline_of(fitted).predict_proba(mixed)[:, 1]).max() < 1e-9
    assert [scorer.score_row(row) for row in scorer.matrix(mixed).tolist()] == scores.tolist()


def test_synthetic_rows_have_the_categories_of_one_fraud() -> None:
    """Bins and levels of a synthetic row come together from its parent; every row has one level of each category."""
    X, y = rows_with_categories()
    pipeline = pipeline_of(estimator.fit(TEXT, X, y))
    made = pipeline["features"].transform(X)
    both, _ = pipeline["resample"].fit_resample(made, y)
    parents = pipeline["resample"].parents_
    assert len(parents) > 100
    assert np.array_equal(both[len(X) :, 4:], made[parents][:, 4:])
    columns = pipeline["one_hot"].transform(both)[:, -8:]
    assert set(np.unique(columns)) == {0.0, 1.0}
    assert np.all(columns[:, :5].sum(axis=1) == 1)
    assert np.all(columns[:, 5:].sum(axis=1) == 1)


def test_fit_rejects_regression_that_does_not_converge() -> None:
    """Running out of iterations is an error that names the two settings."""
    X, y = rows()
    training = changed(TRAINING, regression={"max_iterations": 2})
    with pytest.raises(ValueError, match=r"did not converge.*regression\.max_iterations"):
        estimator.fit(training, X, y)


@pytest.mark.parametrize("copies", [1, 3])
def test_penalty_is_relative_to_the_mean_loss(copies: int) -> None:
    """Every row three times gives the same coefficients; scikit-learn's C for them is 1 / (penalty * rows)."""
    X, y = rows(600)
    columns = ["V1", "V2", "V3"]
    regression = MeanLossRegression(l2_penalty=0.02, max_iter=500, tol=1e-9)
    regression.fit(np.tile(X[columns].to_numpy(), (copies, 1)), np.tile(y, copies))
    plain = LogisticRegression(C=1 / (0.02 * 600), max_iter=500, tol=1e-9).fit(X[columns].to_numpy(), y)
    np.testing.assert_allclose(regression.coef_, plain.coef_, rtol=1e-4)
    weighted = MeanLossRegression(l2_penalty=0.02, max_iter=500, tol=1e-9)
    weighted.fit(X[columns].to_numpy(), y, sample_weight=np.full(600, 7.0))
    np.testing.assert_allclose(weighted.coef_, plain.coef_, rtol=1e-4)
