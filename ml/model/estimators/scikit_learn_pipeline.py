"""The same logistic regression as logistic_regression.py by scikit-learn and imbalanced-learn: slower, and its oracle.

Scale, resample, one-hot encode, regress: one imbalanced-learn Pipeline, which resamples the rows that it is fitted
to and never those that it scores.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from imblearn.pipeline import Pipeline
from numpy.typing import ArrayLike, NDArray
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import OneHotEncoder

from ml.model import feature_transformers, fit_messages, model_parts
from ml.model.model_parts import Bins, Feature, LevelTable, Part
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
    codes = feature_transformers.code_count(training.columns, training.binning)
    values = len(training.columns.features) + (training.columns.amount is not None)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    transform = feature_transformers.build(training.columns, training.binning, training.categories.min_rows)
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


def fit(training: Training, X: pd.DataFrame, y: NDArray[np.int8]) -> FittedPipeline:
    """Fits the pipeline, as contract.py describes it.

    Raises:
        ValueError: there are too few frauds to resample, or the regression did not converge.
    """
    numbers = list(training.columns.numbers)
    # A fixed memory layout: the order of summation decides the last bit of a column's mean.
    rows = pd.DataFrame(np.ascontiguousarray(X[numbers].to_numpy(dtype=np.float64)), columns=numbers)
    for name in training.columns.categories:
        rows[name] = X[name].to_numpy(dtype=object)
    pipeline = build(training)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            pipeline.fit(rows, y)
        except ConvergenceWarning as warning:
            reason = str(warning).splitlines()[0]
            raise ValueError(fit_messages.not_converged(training.regression, reason)) from warning
    return FittedPipeline(training=training, pipeline=pipeline)


@dataclass(frozen=True, kw_only=True)
class FittedPipeline:
    """A fitted pipeline, which takes a frame of `training.columns.inputs`."""

    training: Training
    pipeline: Pipeline

    @property
    def synthetic_rows(self) -> int:
        """The number of frauds that SMOTE added."""
        return len(self.pipeline["resample"].parents_) if "resample" in self.pipeline.named_steps else 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Says so where SMOTE is set and added nothing."""
        return fit_messages.resampling_notes(self.training.resampling, self.synthetic_rows)

    def part(self) -> Part:
        """Scaled terms of the features and the log-amount, and the one-hot blocks as tables."""
        columns, blocks = self.training.columns, self.pipeline["features"].named_transformers_
        coefficients = self.pipeline["regression"].coef_[0]
        terms, scalers = [(name, "identity") for name in columns.features], [blocks["features"]]
        if columns.amount is not None:
            terms.append((columns.amount, "log1p"))
            scalers.append(blocks["amount"][-1])
        means = np.concatenate([scaler.mean_ for scaler in scalers])
        scales = np.concatenate([scaler.scale_ for scaler in scalers])
        tables = self._tables(coefficients[len(terms) :])
        return Part(
            pattern=model_parts.KNOWN,
            features=tuple(
                Feature(name=name, transform=transform, limits=None, mean=mean, scale=scale, coefficient=coefficient)
                for (name, transform), mean, scale, coefficient in zip(
                    terms, means.tolist(), scales.tolist(), coefficients[: len(terms)].tolist(), strict=True
                )
            ),
            bins=self._bins(tables),
            levels=self._levels(tables),
            intercept=float(self.pipeline["regression"].intercept_[0]),
            recalibration=None,
        )

    def _tables(self, coefficients: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """The coefficients of the one-hot columns by block; a bin or level without fitted rows has coefficient 0."""
        if not feature_transformers.code_count(self.training.columns, self.training.binning):
            return {}
        blocks = self.pipeline["features"].named_transformers_
        sizes = {name: len(blocks[name].edges_) + 1 for name in ("amount_bin", "hour_bin") if name in blocks}
        levels = map(feature_transformers.level_block, self.training.columns.categories)
        sizes |= {name: len(blocks[name].levels_) + 1 for name in levels}
        tables, start = {}, 0
        present = self.pipeline["one_hot"].named_transformers_["codes"].categories_
        for (block, size), codes in zip(sizes.items(), present, strict=True):
            tables[block] = np.zeros(size)
            tables[block][codes.astype(int)] = coefficients[start : start + len(codes)]
            start += len(codes)
        return tables

    def _bins(self, tables: dict[str, NDArray[np.float64]]) -> tuple[Bins, ...]:
        blocks, columns = self.pipeline["features"].named_transformers_, self.training.columns
        kinds = [("amount_bin", columns.amount, "value"), ("hour_bin", columns.clock, "hour_of_day")]
        return tuple(
            Bins(
                input=name,
                kind=kind,
                edges=tuple(blocks[block].edges_.tolist()),
                coefficients=tuple(tables[block].tolist()),
            )
            for block, name, kind in kinds
            if name is not None and block in tables
        )

    def _levels(self, tables: dict[str, NDArray[np.float64]]) -> tuple[LevelTable, ...]:
        blocks, made = self.pipeline["features"].named_transformers_, []
        for name in self.training.columns.categories:
            *coefficients, other = tables[feature_transformers.level_block(name)].tolist()
            levels = tuple(blocks[feature_transformers.level_block(name)].levels_)
            made.append(LevelTable(input=name, levels=levels, coefficients=tuple(coefficients), other=other))
        return tuple(made)
