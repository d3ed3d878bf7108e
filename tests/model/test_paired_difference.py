"""Tests of the interval of a paired difference, and of the chance that it can tell."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model import paired_difference
from ml.model.metrics import rate

GATE_RULE = {"margin": 0.135, "confidence": 0.95}  # model-config/training/gate.yaml


def test_difference_counts_rows_on_which_the_models_disagree() -> None:
    """Four rows gained and two lost of a hundred: +0.02, and the interval of Bonett and Price."""
    new, old = np.zeros(100, bool), np.zeros(100, bool)
    new[:54], old[4:56] = True, True
    found = paired_difference.of_rates(new, old, 0.95)
    assert found is not None
    assert (found.challenger, found.champion, found.difference) == (0.54, 0.52, 0.02)
    middle, disagreeing = 2 / 102, 8 / 102
    reach = 1.959964 * ((disagreeing - middle**2) / 102) ** 0.5
    assert (found.low, found.high) == pytest.approx((middle - reach, middle + reach))
    assert paired_difference.of_rates([], [], 0.95) is None


def test_models_that_never_disagree_are_not_certain_to_agree() -> None:
    """On 15 rows without a disagreement a difference of 0.16 is not excluded, on 1,000 one of 0.003 is."""
    few, many = (paired_difference.of_rates(np.ones(n), np.ones(n), 0.95) for n in (15, 1000))
    assert few is not None and many is not None
    assert few.low == pytest.approx(-0.163, abs=1e-3)
    assert many.low == pytest.approx(-0.0028, abs=1e-4)


def test_interval_covers_the_true_difference() -> None:
    """Of 2,000 samples of 30 rows with a true difference of -0.05, at least 93 % of the intervals contain it."""
    random = np.random.default_rng(0)
    drawn = random.multinomial(30, [0.05, 0.10, 0.85], size=2000)
    low, high = paired_difference.interval(drawn[:, 0], drawn[:, 1], 30, 0.95)
    assert np.mean((low <= -0.05) & (high >= -0.05)) >= 0.93


@pytest.mark.parametrize("frauds", [15, 30, 60])
def test_much_worse_model_rarely_passes_the_committed_rule(frauds: int) -> None:
    """A true recall of .75 instead of .94 passes in less than 1 % of trials, whatever misses are shared."""
    for shared in (0.0, 0.5, 1.0):
        chance = paired_difference.chance_of_passing(frauds, challenger=0.75, champion=0.94, shared=shared, **GATE_RULE)
        assert chance < 0.01


def test_equal_model_passes_the_committed_rule_at_60_frauds() -> None:
    """In at least 80 % of trials even if both models miss frauds independently, and more often if they share misses."""
    chances = [
        paired_difference.chance_of_passing(60, challenger=0.94, champion=0.94, shared=shared, **GATE_RULE)
        for shared in (0.0, 0.5, 1.0)
    ]
    assert 0.80 <= chances[0] < chances[1] < chances[2] == 1


def test_chance_of_passing_equals_a_simulation() -> None:
    """Twenty thousand trials agree with the sum over all outcomes, and the normal law with it at 400 frauds."""
    random = np.random.default_rng(1)
    gained, lost = 0.9 * 0.08, 0.92 * 0.1
    drawn = random.multinomial(40, [gained, lost, 1 - gained - lost], size=20_000)
    low, _ = paired_difference.interval(drawn[:, 0], drawn[:, 1], 40, 0.95)
    exact = paired_difference.chance_of_passing(40, challenger=0.90, champion=0.92, **GATE_RULE)
    assert exact == pytest.approx(np.mean(low >= -0.135), abs=0.01)
    near = [
        paired_difference.chance_of_passing(n, challenger=0.85, champion=0.94, margin=0.12, confidence=0.95)
        for n in (400, 401)
    ]
    assert near[0] == pytest.approx(near[1], abs=0.02)


@pytest.mark.parametrize(("limit", "typical", "upper"), [(0.6, 0.8, False), (0.015, 0.0075, True)])
def test_rows_to_tell_give_the_bound_its_chance(limit: float, typical: float, upper: bool) -> None:
    """With that many rows Wilson's bound keeps to the limit in about 80 % of samples, with half as many in fewer."""
    rows = paired_difference.rows_to_tell(limit, typical, confidence=0.95)
    assert rows is not None

    def share(n: int) -> float:
        drawn = np.random.default_rng(2).binomial(n, typical, size=1500)
        ends = {int(k): rate(int(k), n, "") for k in np.unique(drawn)}
        kept = [(ends[k].high or 0) <= limit if upper else (ends[k].low or 0) > limit for k in drawn.tolist()]
        return float(np.mean(kept))

    assert share(rows) == pytest.approx(0.8, abs=0.07)
    assert share(rows // 2) < 0.65


def test_no_rows_tell_a_rate_from_itself() -> None:
    """A limit that equals the typical rate is None."""
    assert paired_difference.rows_to_tell(1.0, 1.0, confidence=0.95) is None
