"""Adapts a champion to labelled rows since the onset of new frauds.

The champion's part stays as it was fitted; it gets a line of log-odds of its own. A second part, the expert, learns
what the champion cannot explain. Without new frauds the expert is left out, and the ranking is the champion's. Scores
of rows that were not fitted, in blocks of time, decide what the expert may use and where the threshold lies.

Resampling: none. The champion's part keeps what SMOTE did at its first training. The expert is fitted to rows at their
natural rate, because its prior, the likelihood that selects its columns and the threshold need that rate. Measured on
the stand-in (seed 10, 12 and 20 days after the onset, next 30 days): recall .97 without; .93 and .88 with SMOTE to 2 %
of the legitimate rows; .71 and .73 with 10 %. Without drift the ranking is the same, but scores overstate the fraud
rate up to 2.6 times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

from ml.model import out_of_fold
from ml.model.adaptation import noisy_or
from ml.model.adaptation.expert_columns import NO_LEVELS, Design, ExpertColumns
from ml.model.adaptation.noisy_or import Array, Prior, Weights
from ml.model.calibration_line import MIN_SLOPE
from ml.model.model_parts import Line
from ml.model.training_settings import Columns

LINE_PRECISION = (100.0, 1.0)  # of the champion's slope and intercept: 0.1 and 1 standard deviations around history
NEVER = (-9.0, 0.1)  # mean and precision of the expert's intercept: one new fraud in 8,000 rows
MIN_GAIN = 2.0  # of the out-of-fold log-likelihood: without drift it was .3 at most in 16 windows, with new frauds 100
MAX_LOG_ODDS = 50.0  # of the champion in the fit: one extreme row must not decide its slope
_LEAST_RATE = 1e-4  # the fit starts with an expert that gives every row this probability, or the rate of frauds
NO_EXPERT, AMOUNTS, TAILS = "no expert", "amounts", "amounts and tails"
CANDIDATES = (NO_EXPERT, AMOUNTS, TAILS)
"""What the expert may use, the simplest first: nothing; tables of amounts and levels and linear terms; tails too.

Without an expert, frauds by chance take its place in the fit, at the same rate in every row: a fraud that the champion
finds very unlikely, as there are some in any weeks, is then no reason for an expert. The model does not keep them.
"""

_WITH_CATEGORIES = {AMOUNTS: "amounts and categories", TAILS: "amounts, categories and tails"}


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """A fitted adaptation.

    `weights` are the champion's line and the weights of the columns `expert`. That is None if the rows need no part for
    new patterns; the only weight is then that of chance. `scores` are the out-of-fold probabilities of the rows, from
    models that were not fitted to them.
    `candidate` is the one chosen of CANDIDATES; `log_likelihoods` are those of each candidate's out-of-fold scores.
    `categories` says whether the rows have some, which every candidate with amounts may use.
    """

    expert: ExpertColumns | None
    weights: Weights
    scores: Array
    candidate: str
    log_likelihoods: dict[str, float]
    categories: bool = False

    @property
    def line(self) -> Line:
        """The champion's recalibration."""
        slope, intercept = self.weights.line.tolist()
        return Line(slope=slope, intercept=intercept)

    @property
    def note(self) -> str:
        """What was chosen and why, in two sentences."""
        words = _WITH_CATEGORIES if self.categories else {}
        likelihoods = ", ".join(
            f"{value:.1f} with {words.get(name, name)}" for name, value in self.log_likelihoods.items()
        )
        added = "No part for new patterns was added"
        if self.expert is not None:
            added = f"A part for new patterns was added, with {words.get(self.candidate, self.candidate)}"
        return (
            f"{added}: the log-likelihood of out-of-fold scores is {likelihoods}. "
            f"The champion's log-odds count as {self.line.slope:.3f} * log-odds {self.line.intercept:+.3f}."
        )

    def probabilities(self, columns: Columns, X: Array, champion: Array) -> Array:
        """The probabilities of transactions as the fit computes them; the model document's scores agree to 1e-9."""
        if self.expert is None:
            return np.asarray(expit(self.line.slope * champion + self.line.intercept))
        return self.weights.probabilities(champion, self.expert.design(columns, X))

    def document(self, champion: dict[str, Any], threshold: dict[str, Any]) -> dict[str, Any]:
        """The model document of `champion` with this adaptation instead of its own, without provenance."""
        recalibration = {"slope": self.line.slope, "intercept": self.line.intercept}
        parts = [champion["parts"][0] | {"recalibration": recalibration}]
        if self.expert is not None:
            parts.append(self.expert.part(self.weights.expert))
        return champion | {"parts": parts, "threshold": threshold, "provenance": None}


def unadapted(champion: dict[str, Any]) -> dict[str, Any]:
    """The model document `champion` without its adaptation: the part for known patterns as it was first fitted."""
    return champion | {"parts": [champion["parts"][0] | {"recalibration": None}]}


def adapt(
    columns: Columns,
    X: ArrayLike,
    y: ArrayLike,
    *,
    champion: ArrayLike,
    history: Line,
    blocks: int,
    candidates: Sequence[str] = CANDIDATES,
    levels: Mapping[str, Sequence[str]] = NO_LEVELS,
) -> Adapted:
    """Adapts a champion to labelled transactions.

    The same rows in the same order give the same bits on any number of cores, as in estimator.fit.

    Args:
        X: one row per transaction, oldest first, and one column per name in `columns.inputs`. A category is the place
            of its level among `levels`, or their number.
        y: labels, 0 or 1.
        champion: the log-odds of the unadapted champion, one per row.
        history: the line from the champion's log-odds to those of the fraud rate on rows before the onset.
        blocks: of time, for the out-of-fold scores.
        candidates: which of CANDIDATES to compare, the simplest first; a later one must be better by MIN_GAIN.
        levels: of each category; need not be the champion's, because new frauds may come with a new level.

    Raises:
        ValueError: there are fewer rows than blocks or no frauds, the fit did not converge, or the champion's ranking
            is of no use on these rows.
    """
    rows, truth = np.asarray(X, dtype=np.float64), np.asarray(y) == 1
    if len(truth) < blocks or not truth.any():
        raise ValueError(
            f"an adaptation needs frauds in at least {blocks} rows (got {truth.sum()} frauds in {len(truth)} rows): "
            f"widen the window"
        )
    log_odds = np.clip(np.asarray(champion, dtype=np.float64), -MAX_LOG_ODDS, MAX_LOG_ODDS)
    found: dict[str, tuple[ExpertColumns, _Fitted]] = {}
    with threadpool_limits(limits=1):
        for name in candidates:
            chance = name == NO_EXPERT
            expert = ExpertColumns.chance()
            if not chance:
                expert = ExpertColumns.of(columns, rows, tails=name == TAILS, levels=levels)
            start = _start(history, expert, float(truth.mean()))
            problem = _Problem(log_odds, expert.design(columns, rows), truth, _prior(history, expert))
            found[name] = expert, _fit(problem, start, blocks, keep_expert=not chance)
    log_likelihoods = {name: fitted.log_likelihood for name, (_, fitted) in found.items()}
    chosen = candidates[0]
    for name in candidates[1:]:
        if log_likelihoods[name] >= log_likelihoods[chosen] + MIN_GAIN:
            chosen = name
    expert, fitted = found[chosen]
    if fitted.weights.line[0] < MIN_SLOPE:
        raise ValueError(
            f"on these rows the champion's log-odds have a slope of {fitted.weights.line[0]:.3f}: its ranking is of no "
            f"use here, so there is nothing to adapt; train a new model (kind fit)"
        )
    return Adapted(
        expert=None if chosen == NO_EXPERT else expert,
        weights=fitted.weights,
        scores=fitted.scores,
        candidate=chosen,
        log_likelihoods=log_likelihoods,
        categories=bool(columns.categories),
    )


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """The weights of all rows; the scores of each block of time by weights of the others, and their log-likelihood."""

    weights: Weights
    scores: Array
    log_likelihood: float


def _prior(history: Line, expert: ExpertColumns) -> Prior:
    mean, precision = np.zeros(len(expert.precision)), expert.precision.copy()
    mean[expert.intercept], precision[expert.intercept] = NEVER
    return Prior(
        line_mean=np.array([history.slope, history.intercept]),
        line_precision=np.array(LINE_PRECISION),
        weight_mean=mean,
        weight_precision=precision,
    )


def _start(history: Line, expert: ExpertColumns, rate: float) -> Weights:
    """History's line, and an expert that explains every fraud by chance: from there it finds where they differ."""
    weights = np.zeros(len(expert.precision))
    weights[expert.intercept] = math.log(max(rate, _LEAST_RATE))
    return Weights(line=np.array([history.slope, history.intercept]), expert=weights)


@dataclass(frozen=True)
class _Problem:
    log_odds: Array
    design: Design
    truth: NDArray[np.bool_]
    prior: Prior

    def rows(self, chosen: NDArray[np.bool_]) -> _Problem:
        return _Problem(self.log_odds[chosen], self.design.rows(chosen), self.truth[chosen], self.prior)

    def fit(self, start: Weights) -> Weights:
        return noisy_or.fit(self.log_odds, self.design, self.truth, self.prior, start)


def _fit(problem: _Problem, start: Weights, blocks: int, *, keep_expert: bool) -> _Fitted:
    """Fits all rows, and those outside each block; without `keep_expert` the scores are the champion's line alone."""
    whole, log_likelihoods = problem.fit(start), []

    def fit_and_score(fitted: NDArray[np.bool_], held: NDArray[np.bool_]) -> Array:
        weights, rest = problem.rows(fitted).fit(whole), problem.rows(held)
        log_likelihoods.append(noisy_or.log_likelihood(weights, rest.log_odds, rest.design, rest.truth))
        known, new = (expit(part) for part in weights.log_odds(rest.log_odds, rest.design))
        return np.asarray(known + new * (1 - known) if keep_expert else known)

    scores = out_of_fold.scores(len(problem.truth), blocks, fit_and_score)
    return _Fitted(weights=whole, scores=scores, log_likelihood=math.fsum(log_likelihoods))
