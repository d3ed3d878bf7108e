"""Fits the logistic regression to partitions of rows: the driver has Newton's loop, executors the sums.

The sums of a partition are those that one machine takes (ml.model.regression.newton), by the same functions; the driver
adds them in the order of the rows. So the same partitions give the same bits on any number of executors, and the fit of
one machine up to the rounding of sums. All frauds are collected: the driver finds their neighbours and takes the sums
over synthetic rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ml.model.estimators import logistic_regression
from ml.model.estimators.logistic_regression import FittedRegression
from ml.model.regression import newton
from ml.model.regression.columns import RegressionColumns
from ml.model.regression.design import Array, Design, in_slices
from ml.model.regression.newton import Rows, SyntheticSums
from ml.model.training_settings import Columns
from ml.spark.cluster import Cluster, Kept
from ml.spark.row_groups import Labelled, RowGroups
from ml.spark.training_counts import TrainingCounts


def fit(cluster: Cluster, counts: TrainingCounts, groups: Sequence[RowGroups]) -> FittedRegression:
    """What `logistic_regression.fit` fits to the rows of all partitions.

    Raises:
        ValueError: there are too few frauds to resample, or the regression did not converge.
    """
    training, total = counts.training, counts.total
    if not 0 < total.frauds < total.rows:
        raise ValueError(f"training needs frauds and legitimate rows (got {total.frauds} frauds in {total.rows} rows)")
    columns, legitimate, every = counts.regression_columns(), total.rows - total.frauds, newton.sample_step(total.rows)
    parts, before = [], 0
    for group, known in zip(groups, counts.groups, strict=True):
        parts.append(_Part(group=group, legitimate_before=before))
        before += known.rows - known.frauds
    rows = cluster.keep(partial(_rows, training.columns, columns), parts)
    try:
        frauds, kept = zip(*rows.each(partial(_sampled, every)), strict=True)
        synthetic = logistic_regression.synthetic_rows(training, _joined(frauds), legitimate=legitimate)
        sample = None
        if total.rows > newton.MIN_ROWS_FOR_SAMPLE:
            numbers = total.frauds, sum(len(part.values) for part in kept)
            design = _joined([*frauds, *kept])
            sample = newton.sample_of(design, numbers, legitimate=legitimate, synthetic=synthetic, every=every)
        added = 0 if synthetic is None else len(synthetic)
        with in_slices() as each, logistic_regression.explained(training):
            of_synthetic = SyntheticSums(synthetic, 1.0, each) if synthetic is not None and added else None
            sums = _Sums(rows, frauds[0].width, frauds[0].intercept, of_synthetic)
            weights = newton.fit_sums(
                sums,
                total=float(total.rows + added),
                sample=sample,
                penalty=training.regression.l2_penalty * (total.rows + added),
                tolerance=training.regression.tolerance,
                max_steps=training.regression.max_iterations,
            )
    finally:
        rows.release()
    return FittedRegression(training=training, columns=columns, weights=weights, synthetic_rows=added)


@dataclass(frozen=True, kw_only=True)
class _Part:
    group: RowGroups
    legitimate_before: int


@dataclass(frozen=True, kw_only=True)
class _Held:
    """The rows of a part, as an executor keeps them."""

    rows: Rows
    legitimate_before: int


def _rows(columns: Columns, learned: RegressionColumns, part: _Part) -> _Held:
    read = Labelled.read(part.group, columns)
    rows = Rows(design=learned.design(read.inputs), labels=read.labels.astype(np.float64))
    return _Held(rows=rows, legitimate_before=part.legitimate_before)


def _sampled(every: int, held: _Held) -> tuple[Design, Design]:
    """The columns of the frauds, and those of each `every`th legitimate row, counted over all parts."""
    legitimate = np.flatnonzero(held.rows.labels == 0)
    first = -held.legitimate_before % every
    return held.rows.design.rows(np.flatnonzero(held.rows.labels == 1)), held.rows.design.rows(legitimate[first::every])


def _joined(parts: Sequence[Design]) -> Design:
    return Design(
        values=np.concatenate([part.values for part in parts]),
        codes=tuple(np.concatenate(blocks) for blocks in zip(*(part.codes for part in parts), strict=True)),
        sizes=parts[0].sizes,
    )


@dataclass(frozen=True)
class _Sums:
    """newton.Sums over kept rows, and over synthetic ones on the driver."""

    rows: Kept
    width: int
    intercept: int
    synthetic: SyntheticSums | None

    def loss(self, weights: Array) -> tuple[float, Array]:
        loss, gradient = newton.added(self.rows.each(partial(_loss, weights)))
        if self.synthetic is not None:
            more, slope = self.synthetic.loss(weights)
            loss, gradient = loss + more, gradient + slope
        return loss, gradient

    def add_curvature(self, total: Array, weights: Array) -> Array:
        for part in self.rows.each(partial(_curvature, weights)):
            total += part
        return total if self.synthetic is None else total + self.synthetic.curvature(weights)


def _loss(weights: Array, held: _Held) -> tuple[float, Array]:
    return newton.loss_of(held.rows, weights, _one_after_another)


def _curvature(weights: Array, held: _Held) -> Array:
    return newton.add_curvature_of(held.rows, np.zeros((len(weights), len(weights))), weights, _one_after_another)


def _one_after_another(call: Callable[[slice], Any], rows: int, size: int) -> Iterator[Any]:
    """design.Each on one thread: an executor has one core per task."""
    for start in range(0, rows, size):
        yield call(slice(start, min(start + size, rows)))
