"""Tests of features derived from transactions."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import features
from ml.model.training_settings import Binning

TAIL = (0.95, 0.975, 0.99, 0.995, 0.999)


def test_amount_levels_add_the_tail_to_equal_shares() -> None:
    """Deciles, then the levels of the tail; without bins, the tail alone."""
    levels = features.amount_levels(Binning(amount_bins=10, amount_tail=TAIL, hour_bins=0))
    assert levels == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, *TAIL))
    assert features.amount_levels(Binning(amount_bins=0, amount_tail=TAIL, hour_bins=0)) == TAIL


def test_hour_of_day_counts_from_midnight_in_the_unit_of_the_times() -> None:
    """Seconds and milliseconds, on any day, also before the start."""
    seconds = [0.0, 3_599.0, 3_600.0, 86_399.0, 86_400.0 * 9 + 7_200, -1.0]
    assert features.hour_of_day(seconds).tolist() == [0, 0, 1, 23, 2, 23]
    assert features.hour_of_day(np.multiply(seconds, 1_000), per_second=1_000).tolist() == [0, 0, 1, 23, 2, 23]


def test_frequent_levels_are_sorted_and_have_enough_rows() -> None:
    """A value with one row less is no level; the empty text may be one."""
    assert features.frequent_levels(["b"] * 3 + ["a"] * 3 + [""] * 3 + ["c"] * 2, 3) == ("", "a", "b")
