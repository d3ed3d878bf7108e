"""The logistic regression that ships agrees with scikit-learn's on rows that are resampled explicitly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from ml.model import estimator
from ml.model.estimators import scikit_learn_pipeline
from ml.model.model_parts import Part
from ml.model.regression import newton
from ml.model.scorer import Scorer
from ml.model.training_settings import Training
from tests.harness.columns import ulb_columns
from tests.model.training_samples import COUNTRIES, TRAINING, WITH_CATEGORIES, changed, rows, rows_with_categories

TEXT = changed(columns=WITH_CATEGORIES)
FORMS = {
    "all": TRAINING,
    "no amount bins": changed(binning={"amount_bins": 0}),
    "no bins": changed(binning={"amount_bins": 0, "hour_bins": 1}),
    "no resampling": changed(resampling={"minority_ratio": 0.0}),
    "nothing to add": changed(resampling={"minority_ratio": 0.01}),
    "one to one": changed(resampling={"minority_ratio": 1.0, "neighbours": 3}),
    "no time, no amount": changed(columns=ulb_columns(("V1", "V2"), time=None, amount=None)),
    "categories": TEXT,
    "little penalty": changed(regression={"l2_penalty": 1e-6}),
}
TIGHT = {"tolerance": 1e-8}


def coefficients(part: Part) -> NDArray[np.float64]:
    """Every fitted number of a part."""
    return np.array(
        [
            part.intercept,
            *(term.coefficient for term in part.features),
            *(weight for table in part.bins for weight in table.coefficients),
            *(weight for table in part.levels for weight in (*table.coefficients, table.other)),
        ]
    )


def oracle(training: Training, X: pd.DataFrame, y: NDArray[np.int8]) -> Part:
    """scikit-learn's solution, tightly converged by another method, on rows that imbalanced-learn's way resampled."""
    fitted = scikit_learn_pipeline.fit(training, X, y)
    pipeline, made, labels = fitted.pipeline, X[list(training.columns.inputs)], y
    for name, step in pipeline.steps[:-1]:
        if name == "resample":
            made, labels = step.fit_resample(made, labels)
        else:
            made = step.transform(made)
    penalty = training.regression.l2_penalty * len(labels)
    exact = LogisticRegression(C=1 / penalty, solver="newton-cholesky", tol=1e-12, max_iter=200).fit(made, labels)
    pipeline["regression"].coef_, pipeline["regression"].intercept_ = exact.coef_, exact.intercept_
    return fitted.part()


@pytest.mark.container
@pytest.mark.parametrize("form", FORMS)
def test_coefficients_are_those_of_explicit_rows(form: str) -> None:
    """Edges, levels and synthetic rows are as many and equal; means and scales agree to 1e-9, coefficients to 1e-7."""
    training = changed(FORMS[form], regression=TIGHT)
    X, y = (rows_with_categories if training.columns.categories else rows)()
    fitted, expected = estimator.fit(training, X, y), oracle(training, X, y)
    ours = fitted.part()
    assert fitted.synthetic_rows == scikit_learn_pipeline.fit(training, X, y).synthetic_rows
    np.testing.assert_allclose(coefficients(ours), coefficients(expected), rtol=0, atol=1e-7)
    assert [(table.input, table.kind, table.edges) for table in ours.bins] == [
        (table.input, table.kind, table.edges) for table in expected.bins
    ]
    assert [(table.input, table.levels) for table in ours.levels] == [
        (table.input, table.levels) for table in expected.levels
    ]
    for term, other in zip(ours.features, expected.features, strict=True):
        assert (term.name, term.transform) == (other.name, other.transform)
        assert term.mean == pytest.approx(other.mean, abs=1e-9)
        assert term.scale == pytest.approx(other.scale, rel=1e-9)


@pytest.mark.container
@settings(max_examples=15, deadline=None)
@given(
    share=st.sampled_from([0.005, 0.03, 0.3]),
    resampling=st.fixed_dictionaries(
        {"minority_ratio": st.sampled_from([0.0, 0.05, 0.5, 1.0]), "neighbours": st.integers(1, 6)}
    ),
    penalty=st.sampled_from([1e-5, 1e-3, 0.1]),
    scale=st.sampled_from([1e-6, 1.0, 1e9]),
    seed=st.integers(0, 1000),
)
def test_coefficients_agree_for_any_settings(
    share: float, resampling: dict[str, float], penalty: float, *, scale: float, seed: int
) -> None:
    """To 1e-6, with few and many frauds, weak and strong penalties, and inputs of any unit."""
    X, y = rows(2_500, share, seed)
    assume(y.sum() > resampling["neighbours"])
    X["V2"] = X["V2"] * scale + 3 * scale
    training = changed(resampling=resampling, regression={"l2_penalty": penalty, **TIGHT})
    ours, expected = estimator.fit(training, X, y).part(), oracle(training, X, y)
    np.testing.assert_allclose(coefficients(ours), coefficients(expected), rtol=0, atol=1e-6)


def test_constant_and_duplicated_inputs_are_fitted() -> None:
    """A constant counts 0, and two equal inputs share their weight."""
    X, y = rows()
    X["V3"] = 7.25
    X["V2"] = X["V1"]
    terms = {term.name: term for term in estimator.fit(TRAINING, X, y).part().features}
    assert terms["V3"].scale == 1.0
    assert terms["V3"].coefficient == pytest.approx(0.0, abs=1e-12)
    assert terms["V1"].coefficient == pytest.approx(terms["V2"].coefficient, abs=1e-9)


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_fit_that_begins_with_a_sample_has_the_same_result(monkeypatch: pytest.MonkeyPatch, ratio: float) -> None:
    """The sample is a shorter way to the same minimum."""
    X, y = rows(8_000)
    training = changed(resampling={"minority_ratio": ratio}, regression=TIGHT)
    whole = estimator.fit(training, X, y).part()
    monkeypatch.setattr(newton, "MIN_ROWS_FOR_SAMPLE", 1_000)
    monkeypatch.setattr(newton, "_SAMPLE_ROWS", 800)
    np.testing.assert_allclose(coefficients(estimator.fit(training, X, y).part()), coefficients(whole), atol=1e-8)


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
def test_fit_has_the_same_bits_on_one_core_and_on_several(tmp_path: Path) -> None:
    """In new processes that load nothing before, with so many levels that linear algebra would use more threads."""
    samples = Path(__file__).parents[1] / "training_samples.py"
    code = (
        f"import runpy; samples = runpy.run_path({str(samples)!r})\n"
        "X, y = samples['rows_with_categories'](12_000)\n"
        "X['shop'] = [f'shop {at % 300}' for at in range(len(X))]\n"
        "training = samples['changed'](columns=samples['WITH_CATEGORIES'])\n"
        "from ml.model import document_fields, estimator\n"
        "print(document_fields.canonical(estimator.export(estimator.fit(training, X, y), training, 0.5)))"
    )
    root, found = Path(__file__).resolve().parents[3], set()
    for threads, seed in (("1", "5"), ("2", "6")):
        env = {"OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | env | {"PYTHONPATH": str(root)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.count("shop ") == 300
        found.add(done.stdout)
    assert len(found) == 1


def test_fit_rejects_regression_that_does_not_converge() -> None:
    """Running out of iterations is an error that names the two settings."""
    X, y = rows()
    training = changed(regression={"max_iterations": 2})
    with pytest.raises(ValueError, match=r"did not converge.*regression\.max_iterations"):
        estimator.fit(training, X, y)


def test_penalty_below_rounding_is_an_error() -> None:
    """Two equal columns have no definite weights without a penalty; the message names it."""
    X, y = rows()
    X["V2"] = X["V1"]
    training = changed(regression={"l2_penalty": 1e-300}, binning={"amount_bins": 0, "hour_bins": 0})
    with pytest.raises(ValueError, match=r"regression\.l2_penalty.*too small for double precision"):
        estimator.fit(training, X, y)
