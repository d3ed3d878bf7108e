"""Concept drift asks for an adaptation, moved scores for a new threshold, a worse ranking for a refit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ml.drift import run_kind_policy
from ml.drift.run_kind_policy import Counted, RunChoice
from ml.model.drift import detector, ranking
from ml.model.drift.ranking import RankingCounts
from ml.model.drift.window_counts import WindowSummary
from ml.model.training_settings import Threshold
from tests.drift.test_decision_policy import CHAMPION, FORMER, verdict_on
from tests.model.drift.test_ranking import RULES, draw
from tests.model.drift_samples import BASELINE

REFERENCE = {"ranking": ranking.reference_of(*draw(0))}
SAME, WORSE = (
    RankingCounts.of(REFERENCE["ranking"]["edges"], *draw(1, distance=distance)).to_dict() for distance in (4.0, 2.0)
)

POLICY, TRAFFIC = Threshold(policy="max_recall_at_fpr", value=0.0075), WindowSummary.empty(BASELINE)


def month(number: int) -> datetime:
    """The first of a month of 2026."""
    return datetime(2026, number, 1, tzinfo=UTC)


def window(number: int, counts: Any, *, model: str = CHAMPION, mature: bool = True, false_alarms: int = 400) -> Counted:
    """A month of data drift and its counts, with more false alarms than the policy allows."""
    evaluated = ("concept", "data", "prediction") if mature else ("data", "prediction")
    labels = {"confusion": {"false_positives": false_alarms, "true_negatives": 24_000 - false_alarms}}
    verdict = verdict_on(number, model, "data", evaluated=evaluated, labels=labels if mature else None)
    return Counted(verdict, counts, TRAFFIC)


def decision(kind: str = "data", onset: int = 5) -> detector.Decision:
    """A decision on May to July."""
    spans = tuple((month(number), month(number + 1)) for number in range(onset, 8))
    return detector.Decision(kind=kind, onset=month(onset), fired=spans, considered=spans)


def test_concept_drift_asks_for_an_adaptation() -> None:
    """Its ranking is not tested: the labels have shown the drift. Nor is the threshold."""
    found = run_kind_policy.choose(decision("concept"), [window(7, WORSE)], REFERENCE, RULES, POLICY)
    assert (found, found.unneeded) == (RunChoice(kind="adapt"), "")


@pytest.mark.parametrize("kind", ["data", "prediction"])
@pytest.mark.parametrize(("counts", "asked", "suffered"), [(SAME, "threshold", False), (WORSE, "fit", True)])
def test_moved_scores_ask_for_a_threshold_unless_the_ranking_has_suffered(
    kind: str, counts: Any, asked: str, suffered: bool
) -> None:
    """The mature windows since the onset decide; the latest, whose labels are young, does not count yet."""
    past = [window(4, WORSE), window(5, counts), window(6, counts), window(7, None, mature=False)]
    found = run_kind_policy.choose(decision(kind), past, REFERENCE, RULES, POLICY)
    assert found.ranking is not None
    assert (found.kind, found.ranking.suffered, found.ranking.frauds) == (asked, suffered, 120)
    assert found.unneeded == ""


def test_threshold_that_keeps_to_its_policy_stays() -> None:
    """Inputs have drifted, but neither ranking nor false alarms: a run would gain nothing, and the reason says why."""
    past = [window(number, SAME, false_alarms=150) for number in (5, 6, 7)]
    found = run_kind_policy.choose(decision(), past, REFERENCE, RULES, POLICY)
    assert found.kind == "threshold"
    assert found.unneeded.startswith("no new threshold: 450 of 72,000 legitimate rows of 3 windows since the onset")
    worse = [window(number, WORSE, false_alarms=150) for number in (5, 6, 7)]
    assert run_kind_policy.choose(decision(), worse, REFERENCE, RULES, POLICY).unneeded == ""


def test_windows_of_another_model_or_before_the_onset_do_not_count() -> None:
    """Without a mature window of the decision's model a threshold is asked for, and the reason says so."""
    past = [window(4, WORSE), window(5, WORSE, model=FORMER), window(6, WORSE, mature=False), window(7, None)]
    found = run_kind_policy.choose(decision(), past, REFERENCE, RULES, POLICY)
    assert found.ranking is not None
    assert found.threshold is not None
    assert (found.kind, found.ranking.suffered, found.threshold.of) == ("threshold", None, 24_000)
    assert found.ranking.reason == "ranking cannot be tested: no window since the onset has mature labels"


def test_reference_without_a_ranking_asks_for_a_threshold() -> None:
    """A model of an earlier version has no counts to compare with."""
    found = run_kind_policy.choose(decision(), [window(7, WORSE)], {}, RULES, POLICY)
    assert found.ranking is not None
    assert found.kind == "threshold"
    assert found.ranking.reason == "the drift reference, of an older model, has no ranking"
