"""Logistic regression with binning, SMOTE and scaling, the estimator that ships.

It fits what scikit_learn_pipeline.py fits, to convergence and many times as fast: bins and levels are codes instead of
one-hot columns, synthetic rows are sums over pairs of frauds instead of rows (ml.model.regression).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.model import fit_messages
from ml.model.model_parts import Part
from ml.model.regression import newton, stored_design, synthetic_frauds
from ml.model.regression.columns import RegressionColumns
from ml.model.regression.design import Array, Design
from ml.model.regression.synthetic_frauds import SyntheticFrauds
from ml.model.stored_rows import Rows
from ml.model.training_settings import Training

TAKES_STORED_ROWS = True
"""`X` may be rows in files, which need not fit in memory (ml/model/stored_rows.py)."""


def fit(training: Training, X: Rows, y: NDArray[np.int8]) -> FittedRegression:
    """Fits the regression, as contract.py describes it.

    A level's column is penalised like any other, so a level that few rows have stays near 0, the mean of all levels.
    So does the level of all rare and unseen values, which has a coefficient only if fitted rows had such.

    Raises:
        ValueError: there are too few frauds to resample, or the regression did not converge.
    """
    columns, settings = RegressionColumns.of(training, X), training.regression
    design, frauds = stored_design.design(columns, X), np.flatnonzero(y == 1)
    synthetic = synthetic_rows(training, design.rows(frauds), legitimate=len(y) - len(frauds))
    rows = newton.Rows(design=design, labels=y.astype(np.float64), synthetic=synthetic)
    with explained(training):
        weights = newton.fit(
            rows,
            penalty=settings.l2_penalty * rows.total,
            tolerance=settings.tolerance,
            max_steps=settings.max_iterations,
        )
    added = 0 if rows.synthetic is None else len(rows.synthetic)
    return FittedRegression(training=training, columns=columns, weights=weights, synthetic_rows=added)


def synthetic_rows(training: Training, frauds: Design, *, legitimate: int) -> SyntheticFrauds | None:
    """The synthetic frauds that the settings ask for, given the columns of all frauds; None without resampling.

    Raises:
        ValueError: there are too few frauds.
    """
    settings = training.resampling
    if settings.minority_ratio <= 0:
        return None
    wanted = int(settings.minority_ratio * legitimate) - len(frauds.values)
    return synthetic_frauds.draw(frauds, wanted=max(0, wanted), neighbours=settings.neighbours, seed=training.seed)


@contextmanager
def explained(training: Training) -> Iterator[None]:
    """Names the settings that can be changed, in the ValueError of a fit that did not converge."""
    try:
        yield
    except newton.NotConverged as error:
        raise ValueError(fit_messages.not_converged(training.regression, error)) from error


@dataclass(frozen=True, kw_only=True)
class FittedRegression:
    """The columns and their weights; `synthetic_rows` is the number of frauds that SMOTE added."""

    training: Training
    columns: RegressionColumns
    weights: Array
    synthetic_rows: int

    @property
    def notes(self) -> tuple[str, ...]:
        """Says so where SMOTE is set and added nothing."""
        return fit_messages.resampling_notes(self.training.resampling, self.synthetic_rows)

    def part(self) -> Part:
        """Scaled terms of the features and the log-amount, and the one-hot blocks as tables."""
        return self.columns.part(self.weights)
