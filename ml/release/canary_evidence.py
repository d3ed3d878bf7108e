"""Tests a canary's answers against its model's own baseline, at any number of looks, with a stated false-alarm rate.

Two hypotheses are tested. Alerts: the rate of alerts is within a factor `max_alert_rate_ratio` of the baseline's.
Scores: the share of scores below each of `CUTS` quantiles of the baseline is within `max_score_shift` of the
baseline's, a bound on the Kolmogorov-Smirnov distance.

Both are about shares of yes-or-no answers at a limit p. The evidence against "the share is at most p" is the likelihood
ratio of a larger share q and p, averaged over several q; its mean is at most 1 for every share up to p, whatever the
number of answers at which one looks (a test martingale; Ville's inequality: it ever exceeds 1 / alpha with a chance of
at most alpha. Ramdas, Grunwald, Vovk and Shafer 2023, "Game-theoretic statistics and safe anytime-valid inference",
Statistical Science 38). Averages of such ratios are such a ratio again, so both sides and all quantiles of a hypothesis
are averaged. A baseline is a sample too: its rate is taken as its Clopper-Pearson interval, and its distribution as its
band of Dvoretzky, Kiefer, Wolfowitz and Massart. The false-alarm rate is shared out: half to each hypothesis, of which
half to the baseline's interval and half to the test.

Answers are taken as independent: bursts of one kind of transaction count as many. Decides nothing about a deployment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

CUTS = 9
"""Deciles of the baseline's scores."""
_ODDS = np.array([1.25, 1.5, 2.0, 4.0, 16.0, 256.0])
"""Of the alternatives to a limit, as multiples of the limit's odds."""
_PARTS = 4  # of the false-alarm rate: interval and test of two hypotheses


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The chance that a sound canary ever raises an alarm, and which differences from the baseline are no alarm.

    `max_alert_rate_ratio` is above 1: alert rates between the baseline's divided by it and times it are none.
    `max_score_shift` is between 0 and 1: differences between shares of scores up to it are none.
    """

    false_alarm_rate: float
    max_alert_rate_ratio: float
    max_score_shift: float


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the baseline says of a model's answers: counts of held-out rows.

    `edges` are scores, ascending; `below` is the baseline's share of scores below each, of `scored` rows.
    """

    alerts: int
    rows: int
    edges: tuple[float, ...]
    below: tuple[float, ...]
    scored: int

    @classmethod
    def of(cls, baseline: Mapping[str, Any]) -> Expected:
        """From a baseline.json.

        Raises:
            KeyError: it has no scores or no count of alerts.
            ValueError: it has them of no row.
        """
        scores, alerts = baseline["scores"], baseline["alerts"]
        counts = np.asarray(scores["counts"], dtype=np.float64)
        if not counts.sum() or not alerts["of"]:
            raise ValueError("it has scores or alerts of no row")
        shares = np.cumsum(counts)[:-1] / counts.sum()
        places = sorted({int(np.abs(shares - (cut + 1) / (CUTS + 1)).argmin()) for cut in range(CUTS)})
        return cls(
            alerts=int(alerts["count"]),
            rows=int(alerts["of"]),
            edges=tuple(float(scores["edges"][place]) for place in places),
            below=tuple(float(shares[place]) for place in places),
            scored=int(counts.sum()),
        )

    def alert_rates(self, limits: Limits) -> tuple[float, float]:
        """The lowest and the highest alert rate that is no alarm."""
        tail = limits.false_alarm_rate / _PARTS / 2
        low = float(special.betaincinv(self.alerts, self.rows - self.alerts + 1, tail)) if self.alerts else 0.0
        rest = self.rows - self.alerts
        high = float(special.betaincinv(self.alerts + 1, rest, 1 - tail)) if rest else 1.0
        return low / limits.max_alert_rate_ratio, min(1.0, high * limits.max_alert_rate_ratio)

    def score_shift(self, limits: Limits) -> float:
        """The largest difference between shares of scores that is no alarm."""
        band = math.sqrt(math.log(2 * _PARTS / limits.false_alarm_rate) / (2 * self.scored))
        return limits.max_score_shift + band


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Counts of a canary's answers; `below` counts scores below each of the baseline's `edges`."""

    rows: int
    alerts: int
    below: tuple[int, ...]

    @classmethod
    def none(cls, expected: Expected) -> Answers:
        """No answer yet."""
        return cls(rows=0, alerts=0, below=(0,) * len(expected.edges))

    def with_rows(self, expected: Expected, scores: ArrayLike, decisions: ArrayLike) -> Answers:
        """These and more answers, with a score and a decision (1 is an alert) each."""
        values = np.sort(np.asarray(scores, dtype=np.float64))
        counts = np.searchsorted(values, np.asarray(expected.edges), side="left")
        return Answers(
            rows=self.rows + len(values),
            alerts=self.alerts + int((np.asarray(decisions) == 1).sum()),
            below=tuple(int(was + now) for was, now in zip(self.below, counts, strict=True)),
        )

    def score_shift(self, expected: Expected) -> float:
        """The largest difference from the baseline of the shares of scores below an edge; 0 of no answer."""
        if not self.rows:
            return 0.0
        pairs = zip(self.below, expected.below, strict=True)
        return max((abs(count / self.rows - share) for count, share in pairs), default=0.0)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The evidence against each hypothesis, as a share of what an alarm needs: 1 is an alarm, less is none."""

    alerts: float
    scores: float


def evaluate(expected: Expected, answers: Answers, limits: Limits) -> Evidence:
    """The evidence of `answers`: a sound canary ever has 1 of either with a chance of at most `false_alarm_rate`."""
    needed = -math.log(limits.false_alarm_rate / _PARTS)
    shift = expected.score_shift(limits)
    alerts = _outside([expected.alert_rates(limits)], [answers.alerts], answers.rows)
    bounds = [(share - shift, share + shift) for share in expected.below]
    scores = _outside(bounds, answers.below, answers.rows) if bounds else 0.0
    return Evidence(alerts=alerts / needed, scores=scores / needed)


def _outside(limits: Sequence[tuple[float, float]], counts: Sequence[int], rows: int) -> float:
    """The logarithm of the evidence that a share is outside of its limits; a limit beyond 0 or 1 has none."""
    found: list[NDArray[np.float64]] = []
    for (low, high), count in zip(limits, counts, strict=True):
        for limit, seen in ((high, count), (1.0 - low, rows - count)):
            if 0.0 < limit < 1.0:
                found.append(_above(limit, seen, rows))
            else:
                found.append(np.zeros(len(_ODDS)))
    return float(special.logsumexp(found) - math.log(len(found) * len(_ODDS)))


def _above(limit: float, seen: int, rows: int) -> NDArray[np.float64]:
    """Log likelihood ratios of shares above `limit`, from close to it to close to 1, against `limit`."""
    odds = limit / (1.0 - limit) * _ODDS
    share = odds / (1.0 + odds)
    # The share's complement is 1 / (1 + odds): a difference from 1 would lose its digits.
    ratios: NDArray[np.float64] = seen * np.log(share / limit) - (rows - seen) * np.log((1.0 + odds) * (1.0 - limit))
    return ratios
