"""Tests daily whether the rate of known frauds has risen, before labels are mature. Never tests a fall of the rate.

The test counts the known frauds of each scoring day per amount band, and those among the rows that were passed. Rows
without a label count as legitimate, so labels that are still to come can only raise the counts: an alarm does not
depend on label delays, and the test may be evaluated every day.

The statistic is a Shiryaev-Roberts sum over start days of likelihood ratios, "the rate is r times the reference's since
day s" against "the rate is the reference's", averaged over strata and ratios r = 2, 4, … 256. Without drift its mean
after n days is at most n, so the chance that it exceeds 365 / alpha within a year is at most alpha (Doob's inequality;
Shin, Ramdas and Rinaldo 2024, "E-detectors: a nonparametric framework for sequential change detection", New England
Journal of Statistics in Data Science 2). The reference's rate is not known but counted: it is integrated out under
Jeffreys' prior (gamma-Poisson, as in Gelman et al., "Bayesian Data Analysis", 2.6).

Frauds come in bursts, and a burst is no drift. Counts are therefore divided by the variance-to-mean ratio of history
(quasi-likelihood: McCullagh and Nelder 1989, "Generalized linear models", 9.2): exact where all bursts have one size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ml.model.drift.concept_drift import band_names
from ml.model.drift.dispersion import Dispersion

PASSED = "passed rows"
"""The stratum of the rows that were not alerted."""
DAYS_PER_YEAR = 365
_LOG_RATIOS = np.log(2.0 ** np.arange(1, 9))


@dataclass(frozen=True, kw_only=True)
class FraudRates:
    """Rows and frauds per stratum in the drift reference: one per amount band, then the passed rows.

    `dispersion` is the variance-to-mean ratio of history's counts, 1 or more.
    """

    names: tuple[str, ...]
    rows: tuple[int, ...]
    frauds: tuple[int, ...]
    dispersion: float

    @classmethod
    def of(cls, baseline: Mapping[str, Any]) -> FraudRates:
        """The rates of a baseline.json.

        Raises:
            KeyError: a count is missing.
        """
        bands, confusion = baseline["fraud_by_amount"], baseline["confusion"]
        missed = confusion["false_negatives"]
        return cls(
            names=(*band_names(bands["edges"]), PASSED),
            rows=(*bands["rows"], missed + confusion["true_negatives"]),
            frauds=(*bands["frauds"], missed),
            dispersion=Dispersion(**bands["dispersion"]).ratio,
        )


@dataclass(frozen=True, kw_only=True)
class RateEvidence:
    """The evidence on one day that the fraud rate of a stratum has risen.

    `log_evidence` is the natural logarithm of the statistic per year; it fires from `-log(alpha)`. `p_value` bounds the
    chance of such evidence within a year without drift. `stratum` and `onset` are those of the largest likelihood
    ratio; `frauds` and `rows` are counted there from the onset on, `reference` is the stratum's fraud rate in the
    reference. If there is no row, `stratum` and `onset` are None, and the evidence is that of one day, 1 / 365.
    """

    log_evidence: float
    alpha: float
    stratum: str | None
    onset: date | None
    frauds: int
    rows: int
    reference: float

    @property
    def p_value(self) -> float:
        """min(1, 1 / evidence)."""
        return math.exp(-max(self.log_evidence, 0.0))

    @property
    def fired(self) -> bool:
        """Whether the evidence suffices for an alarm."""
        return self.log_evidence >= -math.log(self.alpha)

    @property
    def rate(self) -> float:
        """Known frauds per row since the onset; 0 without rows."""
        return self.frauds / self.rows if self.rows else 0.0


def evaluate(
    reference: FraudRates, days: Sequence[date], frauds: ArrayLike, rows: ArrayLike, *, alpha: float
) -> RateEvidence:
    """The evidence of all scored days since the reference, as it is today.

    Takes about a millisecond for a year.

    Args:
        days: the scoring days, ascending; days without traffic may be left out.
        frauds: frauds known today, shape (days, strata), strata in the order of `reference.names`.
        rows: scored rows, labelled or not, of the same shape. Rows without a decision are in no count of passed rows.
        alpha: the chance of one false alarm in a year of daily evaluations.

    Raises:
        ValueError: shapes differ, there are more frauds than rows in a stratum, or the days are not ascending.
    """
    shape = (len(days), len(reference.names))
    known, scored = np.asarray(frauds, dtype=np.float64), np.asarray(rows, dtype=np.float64)
    if known.shape != shape or scored.shape != shape:
        raise ValueError(f"frauds and rows must have the shape {shape} (got {known.shape} and {scored.shape})")
    if list(days) != sorted(set(days)):
        raise ValueError("days must be ascending, each once")
    if (known > scored).any() or (known < 0).any():
        raise ValueError("frauds must be between 0 and the rows of their day and stratum")
    if not scored.any():
        return RateEvidence(
            log_evidence=-math.log(DAYS_PER_YEAR),
            alpha=alpha,
            stratum=None,
            onset=None,
            frauds=0,
            rows=0,
            reference=0.0,
        )
    found, exposure = since_each_day(known), since_each_day(scored)
    ratios = _log_likelihood_ratios(reference, found, exposure)
    total = special.logsumexp(ratios) - math.log(ratios.shape[0] * ratios.shape[2] * DAYS_PER_YEAR)
    day, stratum = np.unravel_index(int(ratios.max(axis=0).argmax()), shape)
    before = reference.rows[stratum]
    return RateEvidence(
        log_evidence=float(total),
        alpha=alpha,
        stratum=reference.names[stratum],
        onset=days[int(day)],
        frauds=int(found[day, stratum]),
        rows=int(exposure[day, stratum]),
        reference=reference.frauds[stratum] / before if before else 0.0,
    )


def since_each_day(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sum of each day's counts and all later ones, along the first axis."""
    return np.cumsum(counts[::-1], axis=0)[::-1]


def _log_likelihood_ratios(
    reference: FraudRates, found: NDArray[np.float64], exposure: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each ratio, start day and stratum the log likelihood ratio of the days since then."""
    seen, seen_rows = (np.array(part) / reference.dispersion for part in (reference.frauds, reference.rows))
    n, e = found / reference.dispersion, exposure / reference.dispersion
    log_r = _LOG_RATIOS[:, None, None]
    # A stratum without reference rows has no rate to compare with: half a row gives the prior's own scale.
    base = np.maximum(seen_rows, 0.5)
    ratios: NDArray[np.float64] = n * log_r + (n + seen + 0.5) * np.log((base + e) / (base + np.exp(log_r) * e))
    return ratios
