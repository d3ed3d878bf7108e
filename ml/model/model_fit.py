"""Fits a model from nothing and chooses its threshold: what a run of kind `fit` trains.

The threshold comes from validation rows. Where those are few (out_of_fold.validation_is_small), it comes from
out-of-fold scores of training and validation rows, and the model is fitted on both. Never sees test rows.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml.model import calibration_line, estimator, features, out_of_fold, stored_rows, threshold, threshold_evidence
from ml.model.estimators.contract import Fitted
from ml.model.fit_evidence import FitEvidence
from ml.model.model_parts import Line
from ml.model.scorer import Scorer
from ml.model.stored_rows import Rows
from ml.model.threshold_evidence import Expected
from ml.model.training_settings import Training


@dataclass(frozen=True, kw_only=True)
class Fit:
    """A fitted estimator, its threshold, and the evidence about both.

    `history` maps its log-odds to those of the fraud rate on rows that it was not fitted on.
    """

    fitted: Fitted
    threshold: float
    history: Line
    evidence: FitEvidence

    def document(self, training: Training) -> dict[str, Any]:
        """The model as model.json, without provenance."""
        return estimator.export(self.fitted, training, self.threshold, self.history)


def fit(
    training: Training,
    train: tuple[Rows, ArrayLike],
    validation: tuple[Rows, ArrayLike],
) -> Fit:
    """Fits on the training rows, or on training and validation rows, and applies the threshold policy.

    Args:
        train, validation: rows with `training.columns.inputs`, and labels (0 or 1), in order of time; the
            validation rows are later.

    Raises:
        ValueError: the estimator finds no model, or there is no threshold that the policy allows.
    """
    held = validation[0], np.asarray(validation[1], dtype=np.int8)
    if out_of_fold.validation_is_small(training.out_of_fold, training.threshold, held[1]):
        return _fit_out_of_fold(training, train, held)
    made = estimator.fit(training, *train)
    log_odds, scores = _scored(training, made, held[0])
    return of_validation(training, made, (features.amounts(training.columns, held[0]), held[1]), log_odds, scores)


def of_validation(
    training: Training,
    fitted: Fitted,
    held: tuple[NDArray[np.float64] | None, NDArray[np.int8]],
    log_odds: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> Fit:
    """A fitted model with the threshold that the policy chooses on validation rows.

    Args:
        held: the amounts and the labels of the validation rows, in order of time; amounts are None if the data has
            none.
        log_odds, scores: of the same rows, by the exported model.

    Raises:
        ValueError: there is no threshold that the policy allows.
    """
    blocks, source = training.out_of_fold.blocks, threshold_evidence.VALIDATION
    return _finish(training, fitted, held, log_odds, scores, blocks=blocks, source=source, validation_scores=None)


def _fit_out_of_fold(
    training: Training, train: tuple[Rows, ArrayLike], validation: tuple[Rows, NDArray[np.int8]]
) -> Fit:
    parts = [stored_rows.frame(rows, training.columns.inputs) for rows, _ in (train, validation)]
    rows = pd.concat(parts, ignore_index=True)
    labels = np.concatenate([np.asarray(train[1], dtype=np.int8), validation[1]])
    log_odds, blocks = np.empty(len(rows)), training.out_of_fold.blocks

    def fit_and_score(fitted: NDArray[np.bool_], held: NDArray[np.bool_]) -> NDArray[np.float64]:
        fold = estimator.fit(training, rows[fitted], labels[fitted])
        log_odds[held], scores = _scored(training, fold, rows[held])
        return scores

    scores = out_of_fold.scores(len(rows), blocks, fit_and_score)
    made = estimator.fit(training, rows, labels)
    source = threshold_evidence.OUT_OF_FOLD
    kept = scores[len(scores) - len(validation[1]) :]
    return _finish(
        training, made, (features.amounts(training.columns, rows), labels), log_odds, scores,
        blocks=blocks, source=source, validation_scores=kept,
    )  # fmt: skip


def _scored(training: Training, fitted: Fitted, rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds and scores of the exported model, which serves, not of what the estimator holds."""
    scorer = Scorer.from_json(json.dumps(estimator.export(fitted, training, threshold_score=0.5)))
    log_odds, scores = stored_rows.log_odds_and_scores(scorer, rows)
    return log_odds[:, 0], scores


def _finish(
    training: Training,
    fitted: Fitted,
    held: tuple[NDArray[np.float64] | None, NDArray[np.int8]],
    log_odds: NDArray[np.float64],
    scores: NDArray[np.float64],
    *,
    blocks: int,
    source: str,
    validation_scores: NDArray[np.float64] | None,
) -> Fit:
    amounts, labels = held
    rule = training.threshold
    score = threshold.choose(rule, scores, labels, amounts)
    expected = threshold_evidence.expected(rule.policy, score, scores, labels, blocks=blocks, source=source)
    return Fit(
        fitted=fitted,
        threshold=score,
        history=calibration_line.fit(log_odds, labels),
        evidence=FitEvidence(
            expected=expected,
            out_of_fold_scores={} if validation_scores is None else {"validation": tuple(validation_scores.tolist())},
            synthetic_rows=fitted.synthetic_rows,
            notes=(*fitted.notes, *_notes(labels, expected)),
        ),
    )


def _notes(labels: NDArray[np.int8], expected: Expected | None) -> tuple[str, ...]:
    if expected is None or expected.source != threshold_evidence.OUT_OF_FOLD:
        return ()
    return (
        f"The validation part is small, so the threshold comes from out-of-fold scores of all {len(labels):,} "
        f"training and validation rows in {expected.blocks} blocks of time, and the model was fitted on both.",
    )
