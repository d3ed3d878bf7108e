"""Decides which kind of training run a drift decision asks for. Creates no request.

Concept drift asks for an adaptation. Data and prediction drift ask for a refit where mature labels show that ranking
has suffered, and else for a new threshold: scores have moved, and their order need not have. A threshold that keeps to
its policy on the drifted traffic (threshold_use.py) stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add
from typing import Any, NamedTuple

from ml.drift import threshold_use
from ml.drift.threshold_use import ThresholdUse
from ml.model.drift import detector, ranking
from ml.model.drift.detector import DriftVerdict
from ml.model.drift.ranking import RankingCounts, RankingRules, RankingVerdict
from ml.model.drift.verdict import CONCEPT
from ml.model.drift.window_counts import WindowSummary
from ml.model.run_kinds import ADAPT, FIT, THRESHOLD, RunKind
from ml.model.training_settings import Threshold


class Counted(NamedTuple):
    """A window: its verdict, its traffic, and its rows by score and label as the check stores them, if it has them."""

    verdict: DriftVerdict
    ranking: Mapping[str, Any] | None
    summary: WindowSummary


@dataclass(frozen=True, kw_only=True)
class RunChoice:
    """The kind of run, and the tests that it follows from; those are None for concept drift, the latter for a refit.

    `unneeded` is why a run would gain nothing; '' if it is asked for.
    """

    kind: RunKind
    ranking: RankingVerdict | None = None
    threshold: ThresholdUse | None = None

    @property
    def unneeded(self) -> str:
        """As in the docstring of the class."""
        return "" if self.threshold is None or self.threshold.asks else f"no new threshold: {self.threshold.reason}"


def choose(
    decision: detector.Decision,
    past: Sequence[Counted],
    reference: Mapping[str, Any],
    rules: RankingRules,
    threshold: Threshold,
) -> RunChoice:
    """The kind of run, and whether it is needed.

    Args:
        past: the windows that the decision is based on; they do not overlap.
        reference: baseline.json of the model that the decision is about.
        threshold: the policy by which that model's threshold was chosen.
    """
    if decision.kind == CONCEPT:
        return RunChoice(kind=ADAPT)
    since = _since_onset(decision, past)
    verdict = _test(since, reference, rules)
    if verdict.suffered:
        return RunChoice(kind=FIT, ranking=verdict)
    use = threshold_use.of_windows(threshold, [(each.verdict, each.summary) for each in since])
    return RunChoice(kind=THRESHOLD, ranking=verdict, threshold=use)


def _since_onset(decision: detector.Decision, past: Sequence[Counted]) -> list[Counted]:
    """The windows since the onset that the decision's model scored."""
    model = next(each.verdict.reference for each in past if _span(each.verdict) == decision.fired[-1])
    assert decision.onset is not None  # noqa: S101 - a decision that is due has an onset
    return [each for each in past if each.verdict.reference == model and each.verdict.start >= decision.onset]


def _span(verdict: DriftVerdict) -> tuple[datetime, datetime]:
    return verdict.start, verdict.end


def _test(since: Sequence[Counted], reference: Mapping[str, Any], rules: RankingRules) -> RankingVerdict:
    """The test on those of the windows `since` the onset whose labels are mature."""
    known = reference.get("ranking")
    if known is None:
        return RankingVerdict(suffered=None, reason="the drift reference, of an older model, has no ranking")
    counted = [
        RankingCounts.from_dict(each.ranking)
        for each in since
        if each.ranking is not None and CONCEPT in each.verdict.evaluated
    ]
    if not counted:
        reason = "ranking cannot be tested: no window since the onset has mature labels"
        return RankingVerdict(suffered=None, reason=reason)
    return ranking.compare(RankingCounts.from_dict(known), reduce(add, counted), rules)
