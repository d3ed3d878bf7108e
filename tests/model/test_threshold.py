"""Threshold policies: within their limit on the rows they were chosen on, and no stricter than need be."""

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
def test_an_allowance_is_the_most_that_stays_within_the_share(share: float, rows: int) -> None:
    """One more would be over the share, whatever floating point makes of share times rows."""
    allowed = threshold.max_count(share, rows)
    assert allowed / rows <= share < (allowed + 1) / rows


@given(SCORES, SHARES)
def test_the_false_positive_rate_is_kept_and_used(rows: list[tuple[float, bool]], share: float) -> None:
    """On its own rows the rate is at most the limit, and the next lower score would break it, ties included."""
    scores, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(not labels.all())
    chosen = threshold.choose(Threshold(policy="max_recall_at_fpr", value=share), scores, labels)
    legitimate = scores[~labels]
    assert np.mean(legitimate >= chosen) <= share
    lower = legitimate[legitimate < chosen]
    if len(lower):
        assert np.mean(legitimate >= lower.max()) > share


@given(SCORES, SHARES)
def test_the_alert_budget_is_kept_and_used(rows: list[tuple[float, bool]], share: float) -> None:
    """The same of all rows, frauds and legitimate alike."""
    scores, labels = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    chosen = threshold.choose(Threshold(policy="alert_budget", value=share), scores, labels)
    assert np.mean(scores >= chosen) <= share
    lower = scores[scores < chosen]
    if len(lower):
        assert np.mean(scores >= lower.max()) > share


def test_rounding_in_the_last_bit_decides_nothing() -> None:
    """The threshold lies in the middle between two scores, not on one."""
    scores, labels = np.array([0.1, 0.2, 0.4, 0.8]), np.array([0, 0, 1, 1])
    chosen = threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.1), scores, labels)
    assert chosen == pytest.approx(0.3)


def test_neighbouring_floats_are_still_told_apart() -> None:
    """Where no number lies between two scores, the threshold is the upper one."""
    low = 0.5
    high = np.nextafter(low, 1)
    assert threshold.lowest([low, high], 1) == high


def test_a_fixed_threshold_is_the_value_itself() -> None:
    """No validation rows are consulted."""
    assert threshold.choose(Threshold(policy="fixed", value=0.5), [], []) == 0.5


def test_saturated_scores_that_break_the_limit_are_refused() -> None:
    """Two of three legitimate rows score exactly 1: no threshold up to 1 keeps half of them out."""
    with pytest.raises(ValueError, match="2 of 3 scores are 1, more than the 1"):
        threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.5), [1.0, 1.0, 0.2], [0, 0, 0])


def test_a_policy_without_rows_or_name_is_refused() -> None:
    """No legitimate rows, or a policy that does not exist, is an error in words."""
    with pytest.raises(ValueError, match="no validation rows"):
        threshold.choose(Threshold(policy="max_recall_at_fpr", value=0.5), [0.3], [1])
    with pytest.raises(ValueError, match="must be max_recall_at_fpr, alert_budget or fixed"):
        threshold.choose(Threshold(policy="best", value=0.5), [0.3], [0])
