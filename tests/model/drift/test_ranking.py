"""The partial area of binned counts equals scikit-learn's, and only a loss of order counts as one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from ml.model.drift import ranking
from ml.model.drift.ranking import RankingCounts, RankingRules

RULES = RankingRules(max_false_positive_rate=0.01, min_drop=0.05, confidence=0.95, min_frauds=15)


def draw(
    seed: int, *, rows: int = 20_000, frauds: int = 60, distance: float = 4.0, shift: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores and labels; frauds lie `distance` standard deviations above, and all scores move by `shift`."""
    random = np.random.default_rng(seed)
    labels = np.zeros(rows, np.int8)
    labels[:frauds] = 1
    return 1 / (1 + np.exp(-(random.standard_normal(rows) + distance * labels - 4 + shift))), labels


def verdict(now: tuple[NDArray[np.float64], NDArray[np.int8]], seed: int = 0) -> ranking.RankingVerdict:
    """Compares rows with a reference of another seed."""
    known = ranking.reference_of(*draw(seed))
    return ranking.compare(RankingCounts.from_dict(known), RankingCounts.of(known["edges"], *now), RULES)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=8).filter(
        lambda bins: sum(a for a, _ in bins) > 0 and sum(b for _, b in bins) > 0
    ),
    st.floats(0.01, 1.0),
)
def test_partial_area_is_that_of_the_curve(bins: list[tuple[int, int]], limit: float) -> None:
    """The trapezoids up to the limit below scikit-learn's curve of the bins' numbers as scores."""
    legitimate, frauds = (np.array([column]) for column in zip(*bins, strict=True))
    scores = np.r_[np.repeat(np.arange(len(bins)), legitimate[0]), np.repeat(np.arange(len(bins)), frauds[0])]
    labels = np.r_[np.zeros(legitimate.sum(), int), np.ones(frauds.sum(), int)]
    x, y, _ = roc_curve(labels, scores, drop_intermediate=False)
    kept = x < limit
    # The curve may rise vertically: its highest point at the last x before the limit is where the cut begins.
    inside = np.r_[x[kept], limit], np.r_[y[kept], np.interp(limit, x, y) if limit not in x else y[x == limit][0]]
    expected = np.trapezoid(inside[1], inside[0]) / limit
    assert ranking.partial_area(legitimate, frauds, limit)[0] == pytest.approx(expected)


def test_counts_of_parts_add_up() -> None:
    """Days add up to the window; a missing score or label counts nowhere."""
    scores, labels = draw(1, rows=500)
    edges = ranking.tail_edges(scores)
    whole = RankingCounts.of(edges, scores, labels)
    assert (
        RankingCounts.of(edges, scores[:200], labels[:200]) + RankingCounts.of(edges, scores[200:], labels[200:])
        == whole
    )
    assert (sum(whole.legitimate), sum(whole.frauds)) == (440, 60)
    holes = RankingCounts.of(edges, np.r_[scores, np.nan, 0.5], np.r_[labels, 1, -1])
    assert holes == whole
    assert RankingCounts.from_dict(whole.to_dict()) == whole
    with pytest.raises(ValueError, match="share a drift reference"):
        whole + RankingCounts.of([], scores, labels)


def test_edges_halve_the_tail_every_second_step() -> None:
    """They need no labels, are ascending, and the last has at least ten rows above it."""
    scores = np.random.default_rng(0).random(10_240)
    edges = ranking.tail_edges(scores)
    above = [(scores >= edge).mean() for edge in edges]
    assert above == pytest.approx([2.0 ** (-k / 2) for k in range(1, 21)], abs=1e-3)
    assert (scores >= edges[-1]).sum() >= 10
    assert ranking.tail_edges(np.full(100, 0.5)) == []
    assert ranking.tail_edges([0.1]) == []


def test_shifted_scores_are_no_loss_of_ranking() -> None:
    """A shift of all scores moves the alert rate by far and keeps their order: a new threshold repairs it."""
    found = verdict(draw(1, shift=0.7))
    assert found.suffered is False
    assert found.reason.endswith("no loss of ranking is shown")


def test_weaker_separation_is_a_loss_of_ranking() -> None:
    """Frauds that score lower among legitimate rows are what no threshold repairs."""
    found = verdict(draw(1, distance=2.0))
    assert found.suffered is True
    assert found.difference is not None
    assert found.high is not None
    assert found.difference < -0.05
    assert found.high < 0
    assert (found.frauds, found.reference_frauds) == (60, 60)
    assert "the ranking has suffered" in found.reason


def test_small_loss_needs_the_effect_and_the_interval() -> None:
    """A drop below `min_drop` is none, however many frauds show it."""
    known = ranking.reference_of(*draw(0, rows=400_000, frauds=20_000, distance=4.0))
    now = RankingCounts.of(known["edges"], *draw(1, rows=400_000, frauds=20_000, distance=3.95))
    found = ranking.compare(RankingCounts.from_dict(known), now, RULES)
    assert found.high is not None
    assert found.high < 0
    assert found.suffered is False


def test_few_frauds_give_no_result() -> None:
    """The verdict is neither yes nor no, and says what is missing."""
    found = verdict(draw(1, frauds=14))
    assert (found.suffered, found.window) == (None, None)
    assert found.reason == (
        "ranking cannot be tested: 14 frauds with mature labels and 60 in the drift reference, where 15 are needed"
    )


def test_same_distribution_seldom_counts_as_a_loss() -> None:
    """Of forty windows without drift at most two fire, as the interval's confidence and the effect size promise."""
    assert sum(verdict(draw(seed), seed=1000 + seed).suffered is True for seed in range(40)) <= 2


def test_verdict_is_deterministic() -> None:
    """The bootstrap has a seed of its own."""
    assert verdict(draw(1)) == verdict(draw(1))
