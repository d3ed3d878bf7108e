"""Fits the model with scikit-learn and imbalanced-learn, and exports it as plain numbers.

Scale, resample, one-hot, regress: one imbalanced-learn Pipeline, so that no row but a training row is ever resampled.
What leaves this module is a document, never a pickle; scorer.py evaluates it.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import ArrayLike, NDArray
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml.model import features
from ml.model.resampling import OneParentSMOTE
from ml.model.training_settings import Training

SCHEMA = 1


def build(training: Training) -> Pipeline:
    """The unfitted pipeline; it takes a frame of `training.columns.inputs`."""
    codes = features.carried(training.binning)
    values = len(training.columns.features) + 1
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    steps: list[tuple[str, Any]] = [("features", features.build(training.columns, training.binning))]
    if training.resampling.minority_ratio > 0:
        smote = OneParentSMOTE(
            ratio=training.resampling.minority_ratio,
            neighbours=training.resampling.neighbours,
            carried=codes,
            random_state=training.seed,
        )
        steps.append(("resample", smote))
    if codes:
        places = [("bins", encoder, list(range(values, values + codes)))]
        steps.append(("one_hot", ColumnTransformer([("values", "passthrough", list(range(values))), *places])))
    regression = LogisticRegression(
        C=training.regression.inverse_regularisation,
        max_iter=training.regression.max_iterations,
        tol=training.regression.tolerance,
        solver="lbfgs",
    )
    return Pipeline([*steps, ("regression", regression)])


def fit(training: Training, X: pd.DataFrame, y: ArrayLike) -> Pipeline:
    """The pipeline fitted to the training rows `X`, a frame with `training.columns.inputs`, and labels `y` (0 or 1).

    The same rows in the same order give the same numbers, bit for bit, whatever the number of cores: linear algebra
    runs on one thread, because a sum split over more is rounded otherwise. (Another processor family, or another
    build of the numerical libraries, may still differ in the last bits.)

    Raises:
        ValueError: there are too few frauds to resample, one class only, or the regression did not converge.
    """
    labels = np.asarray(y, dtype=np.int8)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"training needs frauds and legitimate rows (got {labels.sum()} frauds in {len(labels)} rows)")
    pipeline, columns = build(training), list(training.columns.inputs)
    # One layout in memory, whatever the caller's: the order in which a column is summed up decides its last bit.
    rows = pd.DataFrame(np.ascontiguousarray(X[columns].to_numpy(dtype=np.float64)), columns=columns)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            pipeline.fit(rows, labels)
        except ConvergenceWarning as warning:
            raise ValueError(
                f"the regression did not converge to {training.regression.tolerance:g} within "
                f"{training.regression.max_iterations} iterations: raise regression.max_iterations or loosen "
                f"regression.tolerance ({str(warning).splitlines()[0]})"
            ) from warning
    return pipeline


def export(pipeline: Pipeline, training: Training, threshold_score: float) -> dict[str, Any]:
    """The fitted `pipeline` as the document model.json (schema 1), without provenance."""
    columns, blocks = training.columns, pipeline["features"].named_transformers_
    coefficients = pipeline["regression"].coef_[0]
    terms = [(name, "identity") for name in columns.features] + [(columns.amount, "log1p")]
    scalers = (blocks["features"], blocks["amount"][-1])
    means = np.concatenate([scaler.mean_ for scaler in scalers])
    scales = np.concatenate([scaler.scale_ for scaler in scalers])
    return {
        "schema": SCHEMA,
        "inputs": list(columns.inputs),
        "time": columns.time,
        "amount": columns.amount,
        "features": [
            {"name": name, "transform": transform, "mean": mean, "scale": scale, "coefficient": coefficient}
            for (name, transform), mean, scale, coefficient in zip(
                terms, means.tolist(), scales.tolist(), coefficients[: len(terms)].tolist(), strict=True
            )
        ],
        "bins": _bins(pipeline, training, coefficients[len(terms) :]),
        "intercept": float(pipeline["regression"].intercept_[0]),
        "threshold": {
            "policy": training.threshold.policy,
            "value": training.threshold.value,
            "score": float(threshold_score),
        },
        "provenance": None,
    }


def _bins(pipeline: Pipeline, training: Training, coefficients: NDArray[np.float64]) -> list[dict[str, Any]]:
    """The one-hot columns as tables; a bin that no training row fell into has the coefficient 0."""
    if not features.carried(training.binning):
        return []
    blocks = pipeline["features"].named_transformers_
    kinds = [("amount_bin", training.columns.amount, "amount"), ("hour_bin", training.columns.time, "hour_of_day")]
    present = [(blocks[block], name, kind) for block, name, kind in kinds if block in blocks]
    tables, start = [], 0
    codes_of_each = pipeline["one_hot"].named_transformers_["bins"].categories_
    for (binner, name, kind), codes in zip(present, codes_of_each, strict=True):
        table = np.zeros(len(binner.edges_) + 1)
        table[codes.astype(int)] = coefficients[start : start + len(codes)]
        tables.append({"input": name, "kind": kind, "edges": binner.edges_.tolist(), "coefficients": table.tolist()})
        start += len(codes)
    return tables
