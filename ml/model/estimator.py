"""Fits the model with scikit-learn and imbalanced-learn, and exports it as plain numbers.

Scale, resample, one-hot encode, regress: one imbalanced-learn Pipeline, which resamples training rows only. The export
is a JSON document, never a pickle; scorer.py evaluates it.
"""

from __future__ import annotations

import dataclasses
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

from ml.model import features, model_document
from ml.model.model_document import IDENTITY, Line
from ml.model.smote import OneParentSMOTE
from ml.model.training_settings import Training


class MeanLossRegression(LogisticRegression):  # type: ignore[misc] # scikit-learn ships no types
    """Logistic regression by lbfgs whose penalty is relative to the mean log loss, not to the sum.

    scikit-learn minimises the sum of the log losses plus the squared norm / (2 C): C = 1 / (l2_penalty * rows).
    """

    def __init__(self, *, l2_penalty: float, max_iter: int, tol: float) -> None:
        super().__init__(max_iter=max_iter, tol=tol)
        self.l2_penalty = l2_penalty

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> MeanLossRegression:
        """Sets C for the number of rows, or the sum of their weights, and fits."""
        weight = len(np.asarray(y)) if sample_weight is None else float(np.sum(np.asarray(sample_weight)))
        self.C = 1 / (self.l2_penalty * weight)
        super().fit(X, y, sample_weight)
        return self


def build(training: Training) -> Pipeline:
    """The unfitted pipeline; it takes a frame of `training.columns.inputs`, categories as text.

    A level's column is 0 or 1 and is penalised like any other, so a level that few rows have stays near 0, the mean of
    all levels. So does the level of all rare and unseen values, which has a coefficient only if fitted rows had such.
    """
    codes = features.code_count(training.columns, training.binning)
    values = len(training.columns.features) + (training.columns.amount is not None)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transform = features.build(training.columns, training.binning, training.categories.min_rows)
    steps: list[tuple[str, Any]] = [("features", transform)]
    if training.resampling.minority_ratio > 0:
        smote = OneParentSMOTE(
            ratio=training.resampling.minority_ratio,
            neighbours=training.resampling.neighbours,
            copied=codes,
            random_state=training.seed,
        )
        steps.append(("resample", smote))
    if codes:
        blocks = [
            ("values", "passthrough", list(range(values))),
            ("codes", encoder, list(range(values, values + codes))),
        ]
        steps.append(("one_hot", ColumnTransformer(blocks)))
    regression = MeanLossRegression(
        l2_penalty=training.regression.l2_penalty,
        max_iter=training.regression.max_iterations,
        tol=training.regression.tolerance,
    )
    return Pipeline([*steps, ("regression", regression)])


def fit(training: Training, X: pd.DataFrame, y: ArrayLike) -> Pipeline:
    """Fits the pipeline to the training rows `X`, a frame with `training.columns.inputs`, and labels `y` (0 or 1).

    The same rows in the same order give the same bits on any number of cores: linear algebra runs on one thread,
    because the rounding of a sum depends on how it is split. Another processor family, or another build of the
    numerical libraries, may still differ in the last bits.

    Raises:
        ValueError: there are too few frauds to resample, there is only one class, or the regression did not converge.
    """
    labels = np.asarray(y, dtype=np.int8)
    if len(np.unique(labels)) < 2:
        raise ValueError(f"training needs frauds and legitimate rows (got {labels.sum()} frauds in {len(labels)} rows)")
    pipeline, numbers = build(training), list(training.columns.numbers)
    # A fixed memory layout: the order of summation decides the last bit of a column's mean.
    rows = pd.DataFrame(np.ascontiguousarray(X[numbers].to_numpy(dtype=np.float64)), columns=numbers)
    for name in training.columns.categories:
        rows[name] = X[name].to_numpy(dtype=object)
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


def export(pipeline: Pipeline, training: Training, threshold_score: float, history: Line = IDENTITY) -> dict[str, Any]:
    """The fitted `pipeline` as the document model.json with one part, without provenance.

    Args:
        history: the line from the pipeline's log-odds to those of the fraud rate on rows that it was not fitted on.
    """
    columns, blocks = training.columns, pipeline["features"].named_transformers_
    coefficients = pipeline["regression"].coef_[0]
    terms, scalers = [(name, "identity") for name in columns.features], [blocks["features"]]
    if columns.amount is not None:
        terms.append((columns.amount, "log1p"))
        scalers.append(blocks["amount"][-1])
    means = np.concatenate([scaler.mean_ for scaler in scalers])
    scales = np.concatenate([scaler.scale_ for scaler in scalers])
    tables = _tables(pipeline, training, coefficients[len(terms) :])
    part = {
        "pattern": model_document.KNOWN,
        "features": [
            {
                "name": name,
                "transform": transform,
                "limits": None,
                "mean": mean,
                "scale": scale,
                "coefficient": coefficient,
            }
            for (name, transform), mean, scale, coefficient in zip(
                terms, means.tolist(), scales.tolist(), coefficients[: len(terms)].tolist(), strict=True
            )
        ],
        "bins": _bins(pipeline, training, tables),
        "intercept": float(pipeline["regression"].intercept_[0]),
        "recalibration": None,
    }
    document: dict[str, Any] = {
        "schema": model_document.SCHEMA,
        "inputs": list(columns.inputs),
        "time": None if columns.time is None else dataclasses.asdict(columns.time),
        "amount": columns.amount,
        "parts": [part],
        "history": {"slope": history.slope, "intercept": history.intercept},
        "threshold": {
            "policy": training.threshold.policy,
            "value": training.threshold.value,
            "score": float(threshold_score),
        },
        "provenance": None,
    }
    if columns.categories:
        part["levels"] = _levels(pipeline, training, tables)
        document |= {"schema": model_document.SCHEMA_WITH_CATEGORIES, "categories": list(columns.categories)}
    return document


def _tables(
    pipeline: Pipeline, training: Training, coefficients: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    """The coefficients of the one-hot columns by block; a bin or level without fitted rows has coefficient 0."""
    if not features.code_count(training.columns, training.binning):
        return {}
    blocks = pipeline["features"].named_transformers_
    sizes = {name: len(blocks[name].edges_) + 1 for name in ("amount_bin", "hour_bin") if name in blocks}
    levels = map(features.level_block, training.columns.categories)
    sizes |= {name: len(blocks[name].levels_) + 1 for name in levels}
    tables, start = {}, 0
    present = pipeline["one_hot"].named_transformers_["codes"].categories_
    for (block, size), codes in zip(sizes.items(), present, strict=True):
        tables[block] = np.zeros(size)
        tables[block][codes.astype(int)] = coefficients[start : start + len(codes)]
        start += len(codes)
    return tables


def _bins(pipeline: Pipeline, training: Training, tables: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    blocks = pipeline["features"].named_transformers_
    kinds = [("amount_bin", training.columns.amount, "value"), ("hour_bin", training.columns.clock, "hour_of_day")]
    return [
        {
            "input": name,
            "kind": kind,
            "edges": blocks[block].edges_.tolist(),
            "coefficients": tables[block].tolist(),
        }
        for block, name, kind in kinds
        if block in tables
    ]


def _levels(pipeline: Pipeline, training: Training, tables: dict[str, NDArray[np.float64]]) -> list[dict[str, Any]]:
    blocks, made = pipeline["features"].named_transformers_, []
    for name in training.columns.categories:
        *coefficients, other = tables[features.level_block(name)].tolist()
        levels = list(blocks[features.level_block(name)].levels_)
        made.append({"input": name, "levels": levels, "coefficients": coefficients, "other": other})
    return made
