"""Decides which kind of training run a drift decision asks for. Creates no request.

Concept drift asks for an adaptation. Data and prediction drift ask for a new threshold: scores have moved, and their
order need not have. Only where mature labels show that the ranking has suffered, they ask for a refit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

from ml.model.drift import detector, ranking
from ml.model.drift.detector import DriftVerdict
from ml.model.drift.ranking import RankingCounts, RankingRules, RankingVerdict
from ml.model.drift.verdict import CONCEPT
from ml.model.run_kinds import ADAPT, FIT, THRESHOLD, RunKind

Counted = tuple[DriftVerdict, Mapping[str, Any] | None]
"""The verdict on a window, and its rows by score and label as the check stores them; None if they were not counted."""


def choose(
    decision: detector.Decision, past: Sequence[Counted], reference: Mapping[str, Any], rules: RankingRules
) -> tuple[RunKind, RankingVerdict | None]:
    """The kind of run, and the test of the ranking that it follows from; None for concept drift.

    Args:
        past: the windows that the decision is based on; they do not overlap.
        reference: baseline.json of the model that the decision is about.
    """
    if decision.kind == CONCEPT:
        return ADAPT, None
    verdict = _test(decision, past, reference, rules)
    return (FIT if verdict.suffered else THRESHOLD), verdict


def _test(
    decision: detector.Decision, past: Sequence[Counted], reference: Mapping[str, Any], rules: RankingRules
) -> RankingVerdict:
    """The test on all windows since the onset that the same model scored and whose labels are mature."""
    known = reference.get("ranking")
    if known is None:
        return RankingVerdict(suffered=None, reason="the drift reference, of an older model, has no ranking")
    model = next(each.reference for each, _ in past if (each.start, each.end) == decision.fired[-1])
    counted = [
        RankingCounts.from_dict(counts)
        for each, counts in past
        if counts is not None
        and each.reference == model
        and CONCEPT in each.evaluated
        and decision.onset is not None
        and each.start >= decision.onset
    ]
    if not counted:
        reason = "ranking cannot be tested: no window since the onset has mature labels"
        return RankingVerdict(suffered=None, reason=reason)
    return ranking.compare(RankingCounts.from_dict(known), reduce(add, counted), rules)
