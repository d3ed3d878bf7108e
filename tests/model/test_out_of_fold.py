"""Tests of out-of-fold scores: no row is scored by a model that has seen its block of time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import out_of_fold
from ml.model.training_settings import OutOfFold, Threshold

RULE = OutOfFold(below_alerts=20, blocks=5)
AT_FPR = Threshold(policy="max_recall_at_fpr", value=0.0075)


@given(st.integers(1, 300), st.integers(2, 20))
def test_time_blocks_are_consecutive_and_of_equal_size(rows: int, count: int) -> None:
    """Blocks ascend, and their sizes differ by one at most."""
    block = out_of_fold.time_blocks(rows, count)
    assert len(block) == rows
    assert np.all(np.diff(block) >= 0)
    sizes = np.bincount(block, minlength=count)
    assert len(sizes) == count
    assert sizes.max() - sizes.min() <= 1


def test_scores_come_from_fits_without_the_block() -> None:
    """Each call gets one block to score and all other rows to fit; the scores are put back in order."""
    seen = []

    def fit_and_score(fitted: np.ndarray, held: np.ndarray) -> np.ndarray:
        assert not (fitted & held).any()
        assert (fitted | held).all()
        seen.append(np.flatnonzero(held).tolist())
        return np.flatnonzero(held) / 100

    found = out_of_fold.scores(11, 3, fit_and_score)
    assert found.tolist() == [row / 100 for row in range(11)]
    assert sorted(row for rows in seen for row in rows) == list(range(11))
    assert [len(rows) for rows in seen] == [4, 4, 3]


@pytest.mark.parametrize(("rows", "count"), [(10, 1), (3, 4), (0, 2)])
def test_scores_reject_too_few_blocks_or_rows(rows: int, count: int) -> None:
    """One block leaves nothing to fit; a block without rows says nothing."""
    with pytest.raises(ValueError, match=f"got {count} of {rows} rows"):
        out_of_fold.scores(rows, count, lambda fitted, held: np.zeros(int(held.sum())))


def test_scores_name_the_block_of_an_error() -> None:
    """A fold with too few frauds is named."""

    def fail(fitted: np.ndarray, held: np.ndarray) -> np.ndarray:
        if held[-1]:
            raise ValueError("too few frauds")
        return np.zeros(int(held.sum()))

    with pytest.raises(ValueError, match=r"without block 3 of 3 .*: too few frauds"):
        out_of_fold.scores(9, 3, fail)


@pytest.mark.parametrize(("legitimate", "small"), [(285, True), (2_665, True), (2_667, False), (60_000, False)])
def test_validation_is_small_if_the_policy_allows_few_alerts(legitimate: int, small: bool) -> None:
    """At 0.75 %, 2,667 legitimate rows allow 20 alerts and are enough; 285 allow two."""
    labels = np.r_[np.ones(30), np.zeros(legitimate)]
    assert out_of_fold.validation_is_small(RULE, AT_FPR, labels) is small


def test_validation_counts_what_the_policy_needs() -> None:
    """`min_cost` needs frauds, `alert_budget` rows of any kind, and `fixed` nothing."""
    labels = np.r_[np.ones(19), np.zeros(1_981)]
    cost = Threshold(policy="min_cost", value=5.0, loss_share=1.0)
    assert out_of_fold.validation_is_small(RULE, cost, labels)
    assert not out_of_fold.validation_is_small(RULE, cost, np.r_[labels, 1])
    assert not out_of_fold.validation_is_small(RULE, Threshold(policy="alert_budget", value=0.01), labels)
    assert not out_of_fold.validation_is_small(RULE, Threshold(policy="fixed", value=0.5), labels)
