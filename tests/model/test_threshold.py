"""Tests of the threshold policies: the limit is kept and used fully."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ml.model import threshold
from ml.model.training_settings import Threshold

SHARES = st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)
# few distinct values, so that ties are the rule
SCORES = st.lists(st.tuples(st.integers(0, 12).map(lambda i: i / 13), st.booleans()), min_size=1, max_size=80)


@given(SHARES, st.integers(1, 10_000))
def test_max_count_is_the_largest_within_the_share(share: float, rows: int) -> None:
    """One more would exceed the share, whatever the rounding of share times rows."""
    allowed = threshold.max_count(share, rows)
    assert allowed / rows <= share < (allowed + 1) / rows


@given(SCORES, SHARES)
def test_false_positive_rate_is_kept_and_used(rows: list[tuple[float, bool]], share: float) -> None:
    """On the validation rows the rate is at most the limit, and the next lower score exceeds it, ties included."""
    scores, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(not labels.all())
    chosen = threshold.choose(Threshold(policy="max_recall_at_fpr", value=share), scores, labels)
    legitimate = scores[~labels]
    assert np.mean(legitimate >= chosen) <= share
    lower = legitimate[legitimate < chosen]
    if len(lower):
        assert np.mean(legitimate >= lower.max()) > share


@given(SCORES, SHARES)
def test_alert_budget_is_kept_and_used(rows: list[tuple[float, bool]], share: float) -> None:
    """The same for all rows, frauds and legitimate ones."""
    scores, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    chosen = threshold.choose(Threshold(policy="alert_budget", value=share), scores, labels)
    assert np.mean(scores >= chosen) <= share
    lower = scores[scores < chosen]
    if len(lower):
        assert np.mean(scores >= lower.max()) > share


def test_threshold_is_between_two_scores() -> None:
    """The threshold is halfway between two scores, so rounding does not change a decision."""
    scores, labels = np.array([0.1, 0.2, 0.4, 0.8]), np.array([0, 0, 1, 1])
    chosen = threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.1), scores, labels)
    assert chosen == pytest.approx(0.3)


def test_adjacent_floats_are_separated() -> None:
    """If no number is between two scores, the threshold is the upper one."""
    low = 0.5
    high = np.nextafter(low, 1)
    assert threshold.lowest([low, high], 1) == high


def test_fixed_threshold_is_the_value() -> None:
    """A fixed threshold needs no validation rows."""
    assert threshold.choose(Threshold(policy="fixed", value=0.5), [], []) == 0.5


def test_saturated_scores_are_rejected() -> None:
    """Two of three legitimate rows score exactly 1: no threshold up to 1 excludes half of them."""
    with pytest.raises(ValueError, match="2 of 3 scores are 1, more than the 1"):
        threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.5), [1.0, 1.0, 0.2], [0, 0, 0])


def test_unknown_policy_and_missing_rows_are_rejected() -> None:
    """No legitimate rows, or an unknown policy, is an error."""
    with pytest.raises(ValueError, match="no validation rows"):
        threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.5), [0.3], [1])
    with pytest.raises(ValueError, match="must be max_recall_at_fpr, alert_budget, min_cost or fixed"):
        threshold.choose(Threshold(policy="best", value=0.5), [0.3], [0])


COST = Threshold(policy="min_cost", value=3.0, loss_share=0.5)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(-5, 40)), min_size=1, max_size=60),
    st.integers(1, 20),
)
def test_min_cost_is_the_least_of_all_thresholds(rows: list[tuple[int, bool, int]], cost: int) -> None:
    """No threshold between two scores costs less; equal costs give the higher threshold."""
    scores = np.array([row[0] / 13 for row in rows])
    labels, amounts = np.array([row[1] for row in rows]), np.array([float(row[2]) for row in rows])
    rule = Threshold(policy="min_cost", value=float(cost), loss_share=0.5)

    def total(threshold_score: float) -> float:
        missed = labels & (scores < threshold_score)
        return cost * int(np.sum(scores >= threshold_score)) + 0.5 * float(np.maximum(amounts[missed], 0).sum())

    chosen = threshold.choose(rule, scores, labels, amounts)
    all_thresholds = [*(np.arange(13) - 0.5) / 13, 12.5 / 13]
    assert total(chosen) == min(map(total, all_thresholds))
    fewer = [other for other in all_thresholds if np.sum(scores >= other) < np.sum(scores >= chosen)]
    assert all(total(other) > total(chosen) for other in fewer)


def test_min_cost_follows_the_cost_of_an_alert() -> None:
    """A fraud of 100 behind two false alarms is worth finding at 30 an alert, and not at 60."""
    scores, labels, amounts = [0.9, 0.8, 0.7], [0, 0, 1], [5.0, 5.0, 100.0]
    alerted = {
        cost: np.array(scores)
        >= threshold.choose(Threshold(policy="min_cost", value=cost, loss_share=1.0), scores, labels, amounts)
        for cost in (30.0, 60.0)
    }
    assert alerted[30.0].tolist() == [True, True, True]
    assert not alerted[60.0].any()


def test_min_cost_needs_amounts_and_loss_share() -> None:
    """Both are named if missing."""
    for rule, amounts in ((COST, []), (Threshold(policy="min_cost", value=3.0), [1.0])):
        with pytest.raises(ValueError, match="needs loss_share, and the amount of each row"):
            threshold.choose(rule, [0.5], [0], amounts)


def test_min_cost_cannot_exclude_saturated_scores() -> None:
    """Two legitimate rows score 1; alerting them is never worth it, and no threshold excludes them."""
    with pytest.raises(ValueError, match="2 of 3 scores are 1 and too costly to alert"):
        threshold.choose(COST, [1.0, 1.0, 0.2], [0, 0, 0], [1.0, 1.0, 1.0])


def test_alert_budget_takes_recent_scores_without_labels() -> None:
    """Two of 100 scores of unlabelled traffic reach the threshold."""
    scores = np.linspace(0, 0.99, 100)
    chosen = threshold.choose(Threshold(policy="alert_budget", value=0.02), scores)
    assert int(np.sum(scores >= chosen)) == 2


def test_policies_that_need_labels_reject_scores_without() -> None:
    """The message has both counts."""
    with pytest.raises(ValueError, match="needs a label for each of 2 scores \\(got 0\\)"):
        threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.02), [0.1, 0.2])
