"""Fits the estimator that model.yaml names, and exports what it fitted as the document model.json.

The only caller of the files in ml/model/estimators; contract.py there says what one is. The export is a JSON document,
never a pickle; scorer.py evaluates it.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml.model import document_fields, estimators, model_document, model_parts
from ml.model.document_fields import ArtifactInvalid
from ml.model.estimators.contract import Fitted
from ml.model.model_parts import IDENTITY, Line, Part
from ml.model.stored_rows import Rows
from ml.model.training_settings import Training


def fit(training: Training, X: Rows, y: ArrayLike) -> Fitted:
    """Fits `training.estimator` to the training rows `X`, which have `training.columns.inputs`, and labels `y`.

    Rows in files are read into a frame for an estimator that takes no others (contract.py).

    The same rows in the same order give the same bits on any number of cores: linear algebra runs on one thread,
    because the rounding of a sum depends on how it is split. Another processor family, or another build of the
    numerical libraries, may still differ in the last bits.

    Args:
        y: labels, 0 or 1, one per row.

    Raises:
        ValueError: there is no such estimator, there is only one class, or the estimator finds no model: too few
            frauds to resample, no convergence.
    """
    labels = np.asarray(y, dtype=np.int8)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"training needs frauds and legitimate rows (got {labels.sum()} frauds in {len(labels)} rows)")
    chosen = estimators.load(training.estimator)  # first: the limit holds for libraries that are loaded by then
    rows: Any = X
    if not isinstance(X, pd.DataFrame) and not getattr(chosen, "TAKES_STORED_ROWS", False):
        rows = X.frame(training.columns.inputs)
    with threadpool_limits(limits=1):
        return chosen.fit(training, rows, labels)


def export(fitted: Fitted, training: Training, threshold_score: float, history: Line = IDENTITY) -> dict[str, Any]:
    """What `fit` returned as the document model.json with one part, without provenance.

    Args:
        history: the line from the part's log-odds to those of the fraud rate on rows that it was not fitted on.

    Raises:
        ValueError: the estimator's part is not one that model.json may hold.
    """
    columns = training.columns
    document: dict[str, Any] = {
        "schema": model_document.SCHEMA,
        "inputs": list(columns.inputs),
        "time": None if columns.time is None else dataclasses.asdict(columns.time),
        "amount": columns.amount,
        "parts": [_plain(fitted.part(), training)],
        "history": {"slope": history.slope, "intercept": history.intercept},
        "threshold": {
            "policy": training.threshold.policy,
            "value": training.threshold.value,
            "score": float(threshold_score),
        },
        "provenance": None,
    }
    if columns.categories:
        document |= {"schema": model_document.SCHEMA_WITH_CATEGORIES, "categories": list(columns.categories)}
    try:
        model_document.parse(document_fields.canonical(document))
    except ArtifactInvalid as error:
        raise ValueError(f"the estimator {training.estimator} made no valid part: {error}") from error
    return document


def _plain(part: Part, training: Training) -> dict[str, Any]:
    """The part as JSON has it. Raises ValueError if it is not what an estimator may write."""
    name = training.estimator
    if (part.pattern, part.recalibration) != (model_parts.KNOWN, None):
        raise ValueError(
            f"the estimator {name} must make a part with the pattern {model_parts.KNOWN} and no recalibration (got "
            f"{part.pattern} and {part.recalibration}): only an adaptation makes others"
        )
    if part.levels and not training.columns.categories:
        raise ValueError(f"the estimator {name} made tables of categories, and data.yaml names no categories")
    try:
        made: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(part), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"the estimator {name} made a part that is not finite numbers and text: {error}") from error
    if not training.columns.categories:
        del made["levels"]
    return made
