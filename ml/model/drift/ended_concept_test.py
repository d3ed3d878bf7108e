"""Tests daily whether the frauds of the new pattern have stopped: its alerts go on, and few of them are frauds.

A model that was adapted to a concept keeps alerting on it after it has ended. The test counts the alerts that follow
the new pattern by scoring day, and those of them that are known to be legitimate. Alerts without a label count as
frauds, so labels that are still to come can only strengthen the evidence, and the test may be evaluated every day.
Findings of analysts count in full: they cover alerts, and nothing but alerts is counted.

The statistic is a Shiryaev-Roberts sum over start days, as in `sequential_fraud_rate_test`: likelihood ratios of "since
day s the share of frauds among these alerts is q times the reference's", q = 1/2, 1/4, … 1/256, averaged over q and
over how many of the latest days are left out (0, 7, 14 or 30), because most of their alerts have no label yet. The
reference's share is integrated out under Jeffreys' prior. Makes no decision on the model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ml.model.drift.sequential_fraud_rate_test import DAYS_PER_YEAR, since_each_day

_FACTORS = 2.0 ** -np.arange(1, 9)
_LEFT_OUT_DAYS = (0, 7, 14, 30)
_QUANTILES = (np.arange(33) + 0.5) / 33


@dataclass(frozen=True, kw_only=True)
class EndEvidence:
    """The evidence on one day that the frauds of the new pattern have stopped.

    `log_evidence` is the natural logarithm of the statistic per year; it fires from `-log(alpha)`. `ended` is the start
    day of the largest likelihood ratio, None without alerts (the evidence is then 1 / 365); `alerts` and `legitimate`
    are counted from it on.
    """

    log_evidence: float
    alpha: float
    ended: date | None
    alerts: int
    legitimate: int

    @property
    def p_value(self) -> float:
        """min(1, 1 / evidence): a bound on the chance of such evidence within a year while the frauds go on."""
        return math.exp(-max(self.log_evidence, 0.0))

    @property
    def fired(self) -> bool:
        """Whether the evidence suffices."""
        return self.log_evidence >= -math.log(self.alpha)


def evaluate(
    reference: tuple[int, int],
    days: Sequence[date],
    alerts: ArrayLike,
    legitimate: ArrayLike,
    *,
    alpha: float,
    dispersion: float = 1.0,
) -> EndEvidence:
    """The evidence of all days on which the model served.

    Args:
        reference: frauds and alerts of the new pattern among the rows that the model was tested on.
        days: the scoring days, ascending.
        alerts: alerts that follow the new pattern, labelled or not, by day.
        legitimate: those of them that are known to be legitimate, by day.
        alpha: the chance of one false result in a year of daily evaluations while the frauds go on.
        dispersion: the variance-to-mean ratio of fraud counts; counts are divided by it.

    Raises:
        ValueError: lengths differ, the days are not ascending, or a count exceeds the one that contains it.
    """
    found, clear = np.asarray(alerts, dtype=np.float64), np.asarray(legitimate, dtype=np.float64)
    if found.shape != (len(days),) or clear.shape != found.shape:
        raise ValueError(f"alerts and legitimate must have one count per day (got {found.shape} and {clear.shape})")
    if list(days) != sorted(set(days)):
        raise ValueError("days must be ascending, each once")
    if (clear > found).any() or (clear < 0).any() or not 0 <= reference[0] <= reference[1]:
        raise ValueError("legitimate alerts, and frauds of the reference, must be between 0 and the alerts")
    if not found.any():
        return EndEvidence(log_evidence=-math.log(DAYS_PER_YEAR), alpha=alpha, ended=None, alerts=0, legitimate=0)
    frauds, of = (part / dispersion for part in reference)
    shares: NDArray[np.float64] = special.betaincinv(frauds + 0.5, of - frauds + 0.5, _QUANTILES)
    parts, best = [], (-math.inf, 0)
    for left_out in _LEFT_OUT_DAYS:
        end = len(days) - left_out
        if end <= 0:
            continue
        total, known = since_each_day(found[:end]) / dispersion, since_each_day(clear[:end]) / dispersion
        usual = _log_likelihood(shares, total - known, known)
        ratios = np.array([_log_likelihood(factor * shares, total - known, known) - usual for factor in _FACTORS])
        parts.append(ratios.ravel())
        best = max(best, (float(ratios.max()), int(ratios.max(axis=0).argmax())))
    every = special.logsumexp(np.concatenate(parts)) - math.log(len(_FACTORS) * len(_LEFT_OUT_DAYS) * DAYS_PER_YEAR)
    since = best[1]
    return EndEvidence(
        log_evidence=float(every),
        alpha=alpha,
        ended=days[since],
        alerts=int(found[since:].sum()),
        legitimate=int(clear[since:].sum()),
    )


def _log_likelihood(
    shares: NDArray[np.float64], frauds: NDArray[np.float64], legitimate: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The log likelihood of each start day's counts, averaged over the posterior's quantiles."""
    terms = special.xlogy(frauds[:, None], shares) + special.xlog1py(legitimate[:, None], -shares)
    total: NDArray[np.float64] = special.logsumexp(terms, axis=1) - math.log(len(shares))
    return total
