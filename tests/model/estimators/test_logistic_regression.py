"""What the logistic regression fits, and that its export equals the pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from ml.model import document_fields, estimator
from ml.model.estimators.logistic_regression import MeanLossRegression
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from tests.harness.columns import ulb_columns
from tests.model.fitted_pipelines import pipeline_of
from tests.model.training_samples import COUNTRIES, TRAINING, WITH_CATEGORIES, changed, rows, rows_with_categories

FEWER = [
    TRAINING,
    changed(binning={"amount_bins": 0}),
    changed(binning={"hour_bins": 0}),
    changed(binning={"amount_bins": 0, "hour_bins": 1}),
    changed(resampling={"minority_ratio": 0.0}),
    changed(
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


def test_export_edges_and_scales_ignore_synthetic_rows() -> None:
    """Means and edges are those of the original rows; synthetic frauds do not change them."""
    X, y = rows()
    with_smote = estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5)
    plain = changed(resampling={"minority_ratio": 0.0})
    without = estimator.export(estimator.fit(plain, X, y), plain, 0.5)
    assert [b["edges"] for b in with_smote["parts"][0]["bins"]] == [b["edges"] for b in without["parts"][0]["bins"]]
    for a, b in zip(with_smote["parts"][0]["features"], without["parts"][0]["features"], strict=True):
        assert (a["mean"], a["scale"]) == (b["mean"], b["scale"])
        assert a["coefficient"] != b["coefficient"]
    assert with_smote["parts"][0]["features"][0]["mean"] == pytest.approx(X["V1"].mean(), abs=1e-12)


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


TEXT = changed(columns=WITH_CATEGORIES)


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


def test_levels_do_not_depend_on_labels() -> None:
    """No target leakage: other labels give the same levels; a rare value has none, and an empty one is a level."""
    X, y = rows_with_categories()
    found = []
    for labels in (y, np.roll(y, 777)):
        tables = estimator.export(estimator.fit(TEXT, X, labels), TEXT, 0.5)["parts"][0]["levels"]
        found.append({table["input"]: table["levels"] for table in tables})
    assert found[0] == found[1] == {"shop": ["", "Süßes", "food", "fuel"], "country": ["DE", "FR"]}


def test_names_of_levels_do_not_matter() -> None:
    """No order of levels: with other names, in another order, the scores are the same to 1e-9."""
    X, y = rows_with_categories()
    renamed = X.assign(country=X["country"].map(dict(zip(COUNTRIES, ("zz", "aa", "mm"), strict=True))))
    scores = []
    for frame in (X, renamed):
        scorer = Scorer.from_json(json.dumps(estimator.export(estimator.fit(TEXT, frame, y), TEXT, 0.5)))
        scores.append(scorer.score(scorer.matrix(frame)))
    assert np.abs(scores[0] - scores[1]).max() < 1e-9


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


def test_category_that_frauds_choose_raises_the_score() -> None:
    """The coefficients follow the rates; without rare values among the fitted rows, an unseen one counts 0."""
    X, y = rows_with_categories()
    shops = estimator.export(estimator.fit(TEXT, X, y), TEXT, 0.5)["parts"][0]["levels"][0]
    by_level = dict(zip(shops["levels"], shops["coefficients"], strict=True))
    assert by_level["Süßes"] > by_level["fuel"] > by_level["food"]
    frequent = changed(TEXT, categories={"min_rows": 1})
    (every, _) = estimator.export(estimator.fit(frequent, X, y), frequent, 0.5)["parts"][0]["levels"]
    assert (every["other"], len(every["levels"])) == (0.0, 5)  # no fitted row has another value: the mean of all


def test_export_unseen_hour_has_zero_coefficient() -> None:
    """With morning rows only, the other hours' coefficients are 0."""
    X, y = rows()
    morning = X["Time"] % 86_400 < 6 * 3600
    fitted = estimator.fit(TRAINING, X[morning], y[morning])
    hours = estimator.export(fitted, TRAINING, 0.5)["parts"][0]["bins"][1]
    assert hours["coefficients"][1:] == [0.0, 0.0, 0.0]


@pytest.mark.container
def test_fit_is_deterministic_across_processes(tmp_path: Path) -> None:
    """The document has the same bytes with another hash seed and another number of threads."""
    X, y = rows()
    here = document_fields.canonical(estimator.export(estimator.fit(TRAINING, X, y), TRAINING, 0.5))
    samples = Path(__file__).parents[1] / "training_samples.py"
    code = (
        f"import runpy; samples = runpy.run_path({str(samples)!r}); training = samples['TRAINING']\n"
        "from ml.model import document_fields, estimator\n"
        "print(document_fields.canonical(estimator.export(estimator.fit(training, *samples['rows']()), training, 0.5)))"
    )
    root = Path(__file__).resolve().parents[3]
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "5", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | threads, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == here


def test_fit_rejects_regression_that_does_not_converge() -> None:
    """Running out of iterations is an error that names the two settings."""
    X, y = rows()
    training = changed(regression={"max_iterations": 2})
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
