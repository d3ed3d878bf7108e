"""Concept drift asks for an adaptation, moved scores for a new threshold, a worse ranking for a refit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml.drift import run_kind_policy
from ml.drift.run_kind_policy import Counted
from ml.model.drift import detector, ranking
from ml.model.drift.ranking import RankingCounts
from tests.drift.test_decision_policy import CHAMPION, FORMER, verdict_on
from tests.model.drift.test_ranking import RULES, draw

REFERENCE = {"ranking": ranking.reference_of(*draw(0))}
SAME, WORSE = (
    RankingCounts.of(REFERENCE["ranking"]["edges"], *draw(1, distance=distance)).to_dict() for distance in (4.0, 2.0)
)


def month(number: int) -> datetime:
    """The first of a month of 2026."""
    return datetime(2026, number, 1, tzinfo=UTC)


def window(number: int, counts: Any, *, model: str = CHAMPION, mature: bool = True) -> Counted:
    """A month of data drift and its counts."""
    evaluated = ("concept", "data", "prediction") if mature else ("data", "prediction")
    return verdict_on(number, model, "data", evaluated=evaluated), counts


def decision(kind: str = "data", onset: int = 5) -> detector.Decision:
    """A decision on May to July."""
    spans = tuple((month(number), month(number + 1)) for number in range(onset, 8))
    return detector.Decision(kind=kind, onset=month(onset), fired=spans, considered=spans)


def test_concept_drift_asks_for_an_adaptation() -> None:
    """Its ranking is not tested: the labels have shown the drift."""
    assert run_kind_policy.choose(decision("concept"), [window(7, WORSE)], REFERENCE, RULES) == ("adapt", None)


@pytest.mark.parametrize("kind", ["data", "prediction"])
@pytest.mark.parametrize(("counts", "asked", "suffered"), [(SAME, "threshold", False), (WORSE, "fit", True)])
def test_moved_scores_ask_for_a_threshold_unless_the_ranking_has_suffered(
    kind: str, counts: Any, asked: str, suffered: bool
) -> None:
    """The mature windows since the onset decide; the latest, whose labels are young, does not count yet."""
    past = [window(4, WORSE), window(5, counts), window(6, counts), window(7, None, mature=False)]
    found, verdict = run_kind_policy.choose(decision(kind), past, REFERENCE, RULES)
    assert verdict is not None
    assert (found, verdict.suffered, verdict.frauds) == (asked, suffered, 120)


def test_windows_of_another_model_or_before_the_onset_do_not_count() -> None:
    """Without a mature window of the decision's model a threshold is asked for, and the reason says so."""
    past = [window(4, WORSE), window(5, WORSE, model=FORMER), window(6, WORSE, mature=False), window(7, None)]
    found, verdict = run_kind_policy.choose(decision(), past, REFERENCE, RULES)
    assert verdict is not None
    assert (found, verdict.suffered) == ("threshold", None)
    assert verdict.reason == "ranking cannot be tested: no window since the onset has mature labels"


def test_reference_without_a_ranking_asks_for_a_threshold() -> None:
    """A model of an earlier version has no counts to compare with."""
    found, verdict = run_kind_policy.choose(decision(), [window(7, WORSE)], {}, RULES)
    assert verdict is not None
    assert (found, verdict.reason) == ("threshold", "the drift reference, of an older model, has no ranking")
