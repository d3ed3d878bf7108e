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
    with pytest.raises(ValueError, match="must be max_recall_at_fpr, alert_budget or fixed"):
        threshold.choose(Threshold(policy="best", value=0.5), [0.3], [0])
