"""Every estimator keeps the contract: those of the product, and naive Bayes, a file of tests/harness/estimators."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.model import document_fields, estimator, features, model_fit, threshold
from ml.model import estimators as product
from ml.model.adaptation.adapt import adapt, unadapted
from ml.model.estimators import logistic_regression, scikit_learn_pipeline
from ml.model.estimators.contract import Estimator
from ml.model.explanation import explain
from ml.model.request_parser import RequestParser
from ml.model.scorer import Scorer
from ml.model.training_settings import OutOfFold, Training
from tests.harness import estimator_files
from tests.harness.columns import ulb_columns
from tests.harness.estimators import naive_bayes
from tests.model.training_samples import TRAINING, WITH_CATEGORIES, changed, rows, rows_with_categories

pytestmark = pytest.mark.container
MODULES: dict[str, Estimator] = {
    "logistic_regression": logistic_regression,
    "naive_bayes": naive_bayes,
    "scikit_learn_pipeline": scikit_learn_pipeline,
}
"""The type of the values is a check by mypy: a module is an estimator."""
NAMES = tuple(sorted(MODULES))
FORMS: dict[str, Training] = {
    "numbers": TRAINING,
    "categories": changed(columns=WITH_CATEGORIES),
    "no time, no amount": changed(columns=ulb_columns(("V1", "V2"), time=None, amount=None)),
}


@pytest.fixture(autouse=True, scope="module")
def beside_the_product() -> Iterator[None]:
    """The estimators of the tests are files of the product's folder."""
    with estimator_files.importable():
        yield


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each estimator."""
    return str(request.param)


def of(name: str, form: str = "numbers", **changes: Any) -> Training:
    """Settings with an estimator."""
    return dataclasses.replace(changed(FORMS[form], **changes), estimator=name)


def sample(form: str = "numbers", n: int = 4000, seed: int = 0, share: float = 0.03) -> tuple[pd.DataFrame, Any]:
    """Rows with the columns of a form, and their labels."""
    X, y = (rows_with_categories if form == "categories" else rows)(n, share, seed)
    return X[list(FORMS[form].columns.inputs)], y


@cache
def document(name: str, form: str = "numbers") -> dict[str, Any]:
    """What the estimator exports of `sample(form)`, with the threshold and the line of a fit."""
    X, y = sample(form)
    return model_fit.fit(of(name, form), (X[:3000], y[:3000]), (X[3000:], y[3000:])).document(of(name, form))


def scorer_of(made: dict[str, Any]) -> Scorer:
    """The scorer of a document."""
    return Scorer.from_json(document_fields.canonical(made))


def test_every_estimator_is_tested() -> None:
    """A new file of ml/model/estimators is added to MODULES."""
    assert set(product.names()) - {estimator_files.NAIVE_BAYES} == set(NAMES) - {estimator_files.NAIVE_BAYES}


@pytest.mark.parametrize("form", FORMS)
def test_fit_is_deterministic(name: str, form: str) -> None:
    """The same rows give the same bytes, and a fit changes neither rows nor labels."""
    X, y = sample(form)
    before, labels = X.copy(), y.copy()
    first, second = (estimator.export(estimator.fit(of(name, form), X, y), of(name, form), 0.5) for _ in range(2))
    assert document_fields.canonical(first) == document_fields.canonical(second)
    pd.testing.assert_frame_equal(X, before)
    assert np.array_equal(y, labels)


@pytest.mark.parametrize("form", FORMS)
def test_columns_are_read_by_name(name: str, form: str) -> None:
    """Other columns, another order of columns and an index that is not the rows' position change no byte."""
    X, y = sample(form)
    training = of(name, form)
    other = X[list(reversed(X.columns))].assign(note="text", V0=np.arange(len(X))[::-1] * 1e9)
    other = other[["V0", *(column for column in other.columns if column != "V0")]]
    other.index = pd.Index(np.random.default_rng(3).permutation(len(X)) * 7 - 100)
    first, second = (estimator.export(estimator.fit(training, each, y), training, 0.5) for each in (X, other))
    assert document_fields.canonical(first) == document_fields.canonical(second)


@pytest.mark.parametrize("form", FORMS)
def test_model_tells_frauds_from_others(name: str, form: str) -> None:
    """On later rows the threshold of the validation rows finds several times the frauds that chance would."""
    model = scorer_of(document(name, form))
    X, y = sample(form, seed=5)
    alerts = model.decide(model.score(model.matrix(X))) == 1
    assert alerts[y == 1].mean() > 5 * alerts[y == 0].mean() > 0
    calibrated = model.calibrated(model.matrix(X))
    assert calibrated.sum() == pytest.approx(y.sum(), rel=0.35)


@pytest.mark.parametrize("form", FORMS)
def test_scores_are_equal_in_every_form(name: str, form: str) -> None:
    """A batch, a row, JSON and CSV have the same score, also far outside the fitted rows and for unseen values."""
    model = scorer_of(document(name, form))
    X, _ = sample(form, 300, seed=1)
    numbers = list(FORMS[form].columns.numbers)
    X.loc[:99, numbers] = X.loc[:99, numbers] * np.random.default_rng(2).choice([1, 30, 1000], (100, len(numbers)))
    if form == "categories":
        X.loc[:50, "shop"] = "never seen"
    values = model.matrix(X)
    expected = model.score(values)
    assert [model.score_row(row) for row in values.tolist()] == expected.tolist()
    parser = RequestParser.of(model.document)
    bodies = {
        "application/json": json.dumps({"instances": X.to_dict("records")}),
        "text/csv": X.to_csv(index=False),
    }
    for kind, body in bodies.items():
        assert np.abs(model.score(parser.parse(body, kind).rows) - expected).max() < 1e-9


@pytest.mark.parametrize("form", FORMS)
def test_explanations_add_up_to_the_log_odds(name: str, form: str) -> None:
    """Contributions and the intercept are the log-odds of the part, and the score is theirs."""
    model = scorer_of(document(name, form))
    X, _ = sample(form, 50, seed=1)
    for row in X.itertuples(index=False):
        found = explain(model, list(row))
        (part,) = found.parts
        total = part.intercept + sum(each.log_odds for each in part.contributions)
        assert total == pytest.approx(part.log_odds, abs=1e-9)
        assert found.score == pytest.approx(1 / (1 + np.exp(-total)), abs=1e-9)


@pytest.mark.parametrize(
    "rule",
    [
        {"policy": "max_recall_at_fpr", "value": 0.02},
        {"policy": "alert_budget", "value": 0.05},
        {"policy": "min_cost", "value": 5.0, "loss_share": 1.0},
        {"policy": "fixed", "value": 0.3},
    ],
    ids=lambda rule: rule["policy"],
)
def test_every_threshold_policy_works(name: str, rule: dict[str, Any]) -> None:
    """The threshold is the policy's on the exported scores of the validation rows."""
    training = of(name, threshold=rule)
    X, y = sample()
    made = model_fit.fit(training, (X[:3000], y[:3000]), (X[3000:], y[3000:]))
    model = scorer_of(made.document(training))
    scores = model.score(model.matrix(X[3000:]))
    amounts = features.amounts(training.columns, X[3000:])
    assert made.threshold == model.threshold.score == threshold.choose(training.threshold, scores, y[3000:], amounts)


def test_threshold_of_few_rows_is_out_of_fold(name: str) -> None:
    """The estimator is fitted without each block of time, and then on all rows."""
    training = dataclasses.replace(of(name), out_of_fold=OutOfFold(below_alerts=10_000, blocks=4))
    X, y = sample()
    made = model_fit.fit(training, (X[:3000], y[:3000]), (X[3000:], y[3000:]))
    whole = estimator.export(estimator.fit(training, X, y), training, made.threshold, made.history)
    assert made.document(training) == whole
    assert made.evidence.expected is not None and made.evidence.expected.source == "out-of-fold"
    without = scorer_of(estimator.export(estimator.fit(training, X[:3000], y[:3000]), training, 0.5))
    expected = without.score(without.matrix(X[3000:]))
    assert made.evidence.out_of_fold_scores["validation"] == tuple(expected.tolist())


@pytest.mark.parametrize("form", FORMS)
def test_adaptation_adds_to_the_part_and_is_removed_again(name: str, form: str) -> None:
    """Four in five of the highest V2 become frauds: the adapted model finds them, and the known part is unchanged."""
    champion = document(name, form)
    start, training = scorer_of(champion), of(name, form)

    def drifted(seed: int) -> tuple[pd.DataFrame, Any, Any]:
        X, y = sample(form, 6000, seed, share=0.01)
        new = (X["V2"] >= X["V2"].quantile(0.99)).to_numpy() & (np.random.default_rng(seed).random(6000) < 0.8)
        y[new] = 1
        return X, y, new

    X, y, _ = drifted(11)
    levels = {column: features.frequent_levels(X[column], 20) for column in training.columns.categories}
    found = adapt(
        training.columns,
        features.matrix(training.columns, X, levels),
        y,
        champion=start.log_odds(start.matrix(X))[:, 0],
        history=start.document.history,
        blocks=4,
        levels=levels,
    )
    score = threshold.choose(training.threshold, found.scores, y)
    adapted = found.document(champion, {"policy": "max_recall_at_fpr", "value": 0.02, "score": score})
    model = scorer_of(adapted)
    known, _ = model.document.parts
    assert dataclasses.replace(known, recalibration=None) == start.document.parts[0]
    later, _, new = drifted(12)
    before, after = (each.decide(each.score(each.matrix(later))) == 1 for each in (start, model))
    assert before[new].mean() < 0.1
    assert after[new].mean() > 0.8
    assert unadapted(adapted)["parts"] == champion["parts"]


def test_one_class_is_refused(name: str) -> None:
    """The error is the same for every estimator."""
    X, y = sample(n=200)
    with pytest.raises(ValueError, match="training needs frauds and legitimate rows"):
        estimator.fit(of(name), X, np.ones_like(y))


def test_too_few_frauds_are_refused_with_their_number(name: str) -> None:
    """One fraud is not enough for either estimator; the text says what to do."""
    X, y = sample(n=500)
    one = np.zeros_like(y)
    one[100] = 1
    with pytest.raises(ValueError, match=r"got 1") as caught:
        estimator.fit(of(name), X, one)
    assert len(str(caught.value).split()) > 8


def test_fixture_is_a_file_of_its_own() -> None:
    """Naive Bayes needs no other file: copied alone, it is an estimator of the product."""
    source = Path(naive_bayes.__file__).read_text("utf-8")
    assert "tests." not in source
    found = inspect.getmodule(product.load(estimator_files.NAIVE_BAYES).fit)
    assert found is not None and found.__name__ == "ml.model.estimators.naive_bayes"
