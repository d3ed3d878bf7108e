"""The difference between two models' rates on the same rows, its interval, and what that interval can tell.

Decides nothing: gate.py does. The bootstrap of figures that are no rates is champion_comparison.py's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

_MAX_EXACT = 400  # frauds up to which the power is summed over all outcomes; beyond, the normal law is close enough


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A figure of both models and challenger minus champion, with the interval of that difference."""

    challenger: float
    champion: float
    difference: float
    low: float
    high: float


def of_rates(challenger: ArrayLike, champion: ArrayLike, confidence: float) -> Difference | None:
    """The difference between two rates on the same rows, given which rows each model alerts; None without rows.

    Only rows on which the models disagree count. The interval is the adjusted Wald interval of Bonett and Price
    (2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data"): it has
    a width also where the models never disagree, because few rows without a disagreement do not exclude one.
    """
    new, old = np.asarray(challenger, dtype=np.bool_), np.asarray(champion, dtype=np.bool_)
    if not len(new):
        return None
    gained, lost = int(np.count_nonzero(new & ~old)), int(np.count_nonzero(~new & old))
    low, high = interval(gained, lost, len(new), confidence)
    return Difference(
        challenger=float(new.mean()),
        champion=float(old.mean()),
        difference=(gained - lost) / len(new),
        low=float(low),
        high=float(high),
    )


def interval(
    gained: ArrayLike, lost: ArrayLike, rows: int, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of (gained - lost) / rows: `gained` rows only the challenger alerts, `lost` only the champion."""
    more = (np.asarray(gained, dtype=np.float64) + 1) / (rows + 2)
    less = (np.asarray(lost, dtype=np.float64) + 1) / (rows + 2)
    middle = more - less
    reach = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((more + less - middle**2) / (rows + 2))
    return np.asarray(np.maximum(middle - reach, -1.0)), np.asarray(np.minimum(middle + reach, 1.0))


def chance_of_passing(
    frauds: int, *, challenger: float, champion: float, margin: float, confidence: float, shared: float = 0.0
) -> float:
    """The chance that the interval on `frauds` frauds excludes a loss of more than `margin` in recall.

    Args:
        challenger, champion: the true recalls.
        shared: 0 if the models miss frauds independently, 1 if they share all misses that they can. Independent
            misses are the hardest case for an equal model.
    """
    least = min(challenger, champion)
    both = (1 - shared) * challenger * champion + shared * least  # frauds that both find
    gained, lost = challenger - both, champion - both
    if frauds > _MAX_EXACT:
        middle, spread = gained - lost, math.sqrt(max(gained + lost - (gained - lost) ** 2, 0.0) / frauds)
        reach = stats.norm.ppf((1 + confidence) / 2) * math.sqrt(spread**2 + 2 / (frauds + 2) ** 2)
        return float(stats.norm.sf((reach - margin - middle) / spread)) if spread else float(middle - reach >= -margin)
    count = np.arange(frauds + 1)
    b, c = (axis.ravel() for axis in np.meshgrid(count, count, indexing="ij"))
    possible = b + c <= frauds
    b, c = b[possible], c[possible]
    chances = [max(gained, 0.0), max(lost, 0.0)]
    weight = stats.multinomial.pmf(np.column_stack([b, c, frauds - b - c]), frauds, [*chances, 1 - sum(chances)])
    low, _ = interval(b, c, frauds, confidence)
    return float(weight[low >= -margin].sum())


def rows_to_tell(limit: float, typical: float, *, confidence: float, power: float = 0.8) -> int | None:
    """The rows from which Wilson's bound keeps to `limit` with the chance `power` if the true rate is `typical`.

    None if no number of rows does. Wilson's interval inverts the score test, hence this sample size (Fleiss 2003,
    "Statistical methods for rates and proportions", section 2.2).
    """
    if limit == typical:
        return None
    error, missed = float(stats.norm.ppf((1 + confidence) / 2)), float(stats.norm.ppf(power))
    reach = error * math.sqrt(limit * (1 - limit)) + missed * math.sqrt(typical * (1 - typical))
    return math.ceil((reach / (limit - typical)) ** 2)
