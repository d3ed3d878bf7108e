"""Estimates recall and precision from calibrated scores before labels arrive.

Scores of a model that was trained on resampled rows are not probabilities. The drift reference therefore has a
calibration: rows and frauds per band of scores, from held-out rows. The estimate assumes that this calibration holds.
Under concept drift it does not, and the estimate stays constant while recall falls, so it never affects a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.model.drift.verdict import Estimated

DRAWS = 2_000
INTERVAL = (2.5, 97.5)
METHOD = (
    "expected confusion (as confidence-based performance estimation) from an isotonic calibration on held-out rows, "
    "Bayesian bootstrap over their frauds"
)
CAUTION = "an estimate without labels: it assumes that the calibration of scores holds, and concept drift can break it"


def calibration(scores: ArrayLike, labels: ArrayLike) -> dict[str, list[Any]]:
    """Rows and frauds per band of scores, with rising fraud rates, as stored in baseline.json.

    The bands are the blocks of isotonic regression (pool adjacent violators, Barlow et al. 1972). In each band the
    calibrated probability is frauds / rows, so expected counts over these rows equal the observed ones. `edges` are
    interior; a score on an edge belongs to the band above it.
    """
    from scipy import optimize  # slow to import, and the drift check makes no calibration

    values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    levels, level_index = np.unique(values, return_inverse=True)
    rows = np.bincount(level_index, minlength=len(levels))
    frauds = np.bincount(level_index[fraud], minlength=len(levels))
    if not len(levels):
        return {"edges": [], "rows": [0], "frauds": [0]}
    starts = optimize.isotonic_regression(frauds / rows, weights=rows.astype(np.float64)).blocks[:-1]
    return {
        "edges": levels[starts[1:]].tolist(),
        "rows": np.add.reduceat(rows, starts).tolist(),
        "frauds": np.add.reduceat(frauds, starts).tolist(),
    }


def expected(
    calibrated: Mapping[str, Sequence[float]], passed: Sequence[int], alerted: Sequence[int], *, seed: int = 0
) -> Estimated | None:
    """Estimates recall, precision and frauds from rows per band of scores; None if no fraud is expected.

    Args:
        calibrated: the result of `calibration`.
        passed, alerted: rows per band that were passed and alerted.
        seed: of the bootstrap. The estimate is deterministic.
    """
    rows = np.maximum(np.asarray(calibrated["rows"], dtype=np.float64), 1.0)
    frauds = np.asarray(calibrated["frauds"], dtype=np.float64)
    low, high = np.asarray(passed, dtype=np.float64), np.asarray(alerted, dtype=np.float64)
    seen = frauds > 0
    if not (low + high)[seen].sum():
        return None
    # Each fraud of the reference gets an exponential weight (Rubin 1981, "The Bayesian bootstrap"): a band's sum is
    # gamma-distributed with the number of frauds as its shape.
    weights = np.random.default_rng(seed).standard_gamma(frauds[seen], size=(DRAWS, int(seen.sum())))
    risk = np.minimum(np.vstack([frauds[seen], weights]) / rows[seen], 1.0)
    caught, missed = risk @ high[seen], risk @ low[seen]
    total = caught + missed
    alerts = high.sum()
    return Estimated(
        recall=_interval(caught / np.maximum(total, np.finfo(float).tiny)),
        precision=_interval(caught / alerts) if alerts else (0.0, 0.0, 0.0),
        frauds=_interval(total),
        method=METHOD,
        caution=CAUTION,
    )


def _interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """The first value with the 95 % interval of the others, which are bootstrap draws."""
    low, high = np.percentile(values[1:], INTERVAL)
    return float(values[0]), float(low), float(high)
