"""Estimates recall and precision from calibrated scores before labels arrive. Marked as an estimate.

The scores of a model that was fitted on resampled rows are no probabilities, so the baseline brings a calibration: how
many of the rows held out in each band of scores were frauds. What follows assumes that a score still means that risk.
Under concept drift it does not, and the estimate stays as it was while recall falls: it never makes a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from ml.model.drift.verdict import Estimated

DRAWS = 2_000
INTERVAL = (2.5, 97.5)
METHOD = (
    "expected confusion (as confidence-based performance estimation) from an isotonic calibration on rows held out, "
    "Bayesian bootstrap over their frauds"
)
CAUTION = "an estimate without labels: it assumes that scores still mean what they meant, and concept drift can fool it"


def calibration(scores: ArrayLike, labels: ArrayLike) -> dict[str, list[Any]]:
    """Bands of scores in which the fraud rate rises, with rows and frauds of each, as baseline.json holds it.

    The bands are the blocks of isotonic regression, by pool adjacent violators (Barlow et al. 1972), so that in each
    the calibrated probability is frauds / rows, and expected counts over the same rows are the observed ones. `edges`
    are interior; a score on one belongs above it.
    """
    values, fraud = np.asarray(scores, dtype=np.float64), np.asarray(labels) == 1
    levels, place = np.unique(values, return_inverse=True)
    rows = np.bincount(place, minlength=len(levels))
    frauds = np.bincount(place[fraud], minlength=len(levels))
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
    """What labels should say of rows counted per band of scores; None where no fraud is to be expected.

    Args:
        calibrated: what `calibration` made.
        passed, alerted: rows per band that were passed and alerted.
        seed: of the bootstrap; the same counts give the same estimate.
    """
    rows = np.maximum(np.asarray(calibrated["rows"], dtype=np.float64), 1.0)
    frauds = np.asarray(calibrated["frauds"], dtype=np.float64)
    low, high = np.asarray(passed, dtype=np.float64), np.asarray(alerted, dtype=np.float64)
    seen = frauds > 0
    if not (low + high)[seen].sum():
        return None
    # Each fraud of the reference gets an exponential weight (Rubin 1981, "The Bayesian bootstrap"): a band's sum is
    # gamma with as many degrees.
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
    """The first value, and the interval of the others, which are the bootstrap's."""
    low, high = np.percentile(values[1:], INTERVAL)
    return float(values[0]), float(low), float(high)
