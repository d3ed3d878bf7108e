"""Tests of a fit from nothing: where its threshold comes from, and what it says about itself."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from ml.model import document_fields, estimator, model_fit
from ml.model.fit_evidence import FitEvidence
from ml.model.model_fit import Fit
from ml.model.scorer import Scorer
from ml.model.training_settings import OutOfFold, Training
from tests.model.training_samples import TRAINING, changed, rows

OUT_OF_FOLD = dataclasses.replace(TRAINING, out_of_fold=OutOfFold(below_alerts=10_000, blocks=4))
X, Y = rows()
CUT = 3000


def fit(training: Training) -> Fit:
    """Fits on the first 3,000 of 4,000 rows; the others are for validation."""
    return model_fit.fit(training, (X[:CUT], Y[:CUT]), (X[CUT:], Y[CUT:]))


def scorer(made: Fit, training: Training) -> Scorer:
    """The scorer of the exported model."""
    return Scorer.from_json(json.dumps(made.document(training)))


def test_large_validation_chooses_the_threshold_alone() -> None:
    """The model is that of the training rows, and its threshold keeps the limit on the validation rows."""
    made = fit(TRAINING)
    alone = estimator.export(estimator.fit(TRAINING, X[:CUT], Y[:CUT]), TRAINING, made.threshold, made.history)
    assert document_fields.canonical(made.document(TRAINING)) == document_fields.canonical(alone)
    expected = made.evidence.expected
    assert expected is not None and expected.source == "validation"
    model = scorer(made, TRAINING)
    alerts = model.decide(model.score(X[CUT:][list(model.inputs)].to_numpy()))
    assert (expected.count, expected.of) == (alerts[Y[CUT:] == 0].sum(), (Y[CUT:] == 0).sum())
    assert expected.value <= TRAINING.threshold.value
    assert made.evidence.out_of_fold_scores == {}


def test_small_validation_uses_all_rows_out_of_fold() -> None:
    """The model is that of all rows; the threshold keeps the limit on their out-of-fold scores."""
    made = fit(OUT_OF_FOLD)
    both = estimator.export(estimator.fit(OUT_OF_FOLD, X, Y), OUT_OF_FOLD, made.threshold, made.history)
    assert document_fields.canonical(made.document(OUT_OF_FOLD)) == document_fields.canonical(both)
    expected, kept = made.evidence.expected, made.evidence.out_of_fold_scores["validation"]
    assert expected is not None and kept is not None
    assert (expected.source, expected.blocks, expected.of) == ("out-of-fold", 4, (Y == 0).sum())
    assert expected.value <= TRAINING.threshold.value < (expected.count + 1) / expected.of
    assert "out-of-fold scores of all 4,000 training and validation rows" in made.evidence.notes[-1]


def test_out_of_fold_scores_are_of_models_without_the_block() -> None:
    """The last block's scores equal those of a model fitted on the three blocks before it."""
    kept = fit(OUT_OF_FOLD).evidence.out_of_fold_scores["validation"]
    without = estimator.fit(OUT_OF_FOLD, X[:CUT], Y[:CUT])
    assert kept is not None
    alone = Scorer.from_json(json.dumps(estimator.export(without, OUT_OF_FOLD, 0.5)))
    expected = alone.score(alone.matrix(X[CUT:]))
    assert kept == tuple(expected.tolist())


@pytest.mark.parametrize(("ratio", "added"), [(0.0, False), (0.01, False), (0.2, True)])
def test_fit_says_where_smote_adds_nothing(ratio: float, added: bool) -> None:
    """3 % of the rows are frauds: a ratio of 1 % adds none, and the notes say so; without SMOTE there is no note."""
    made = fit(changed(resampling={"minority_ratio": ratio}))
    assert (made.evidence.synthetic_rows > 0) is added
    said = any(note.startswith("SMOTE added no rows") for note in made.evidence.notes)
    assert said is (ratio == 0.01)


@pytest.mark.parametrize("training", [TRAINING, OUT_OF_FOLD], ids=["validation", "out-of-fold"])
def test_evidence_survives_json(training: Training) -> None:
    """fit.json holds the evidence; evaluation.json holds it without the scores."""
    evidence = fit(training).evidence
    assert FitEvidence.from_dict(json.loads(json.dumps(evidence.to_dict()))) == evidence
    assert set(evidence.summary()) == {"expected", "synthetic_rows", "notes"}


def test_fit_rejects_a_block_that_holds_all_frauds() -> None:
    """The error names the block without which there is nothing to fit."""
    labels = np.zeros(len(X), dtype=np.int8)
    labels[:30] = 1
    frame = pd.DataFrame(X)
    with pytest.raises(ValueError, match=r"without block 1 of 4 .*0 frauds in 3000 rows"):
        model_fit.fit(OUT_OF_FOLD, (frame[:CUT], labels[:CUT]), (frame[CUT:], labels[CUT:]))


def test_calibrated_scores_are_fraud_rates_where_smote_overstates_them() -> None:
    """On later rows at a tenth of the share that SMOTE trains to, they add up to the frauds that there are."""
    training = changed(resampling={"minority_ratio": 0.3})
    model = scorer(fit(training), training)
    later, frauds = rows(8_000, seed=9)
    values = later[list(model.inputs)].to_numpy()
    assert model.score(values).sum() > 2 * frauds.sum()
    assert model.calibrated(values).sum() == pytest.approx(frauds.sum(), rel=0.15)
