"""Tests of what is said about a threshold: its interval, its alternatives, and a budget that is too small."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from ml.model import threshold, threshold_evidence
from ml.model.metrics import rate
from ml.model.training_settings import Threshold

RULE = Threshold(policy="max_recall_at_fpr", value=0.0075)


def expected(scores: np.ndarray, *, blocks: int = 5, policy: str = RULE.policy) -> threshold_evidence.Expected:
    """The expected rate at the threshold that the policy chooses on legitimate rows alone."""
    labels = np.zeros(len(scores))
    score = threshold.choose(Threshold(policy=policy, value=RULE.value), scores, labels)
    found = threshold_evidence.expected(policy, score, scores, labels, blocks=blocks, source="validation")
    assert found is not None
    return found


def test_two_alerts_of_285_rows_are_no_three_quarters_of_a_percent() -> None:
    """The interval is that of Clopper and Pearson: 0.09 % to 2.51 %."""
    scores = np.zeros(285)
    scores[[100, 200]] = 0.9
    found = expected(scores)
    assert (found.count, found.of, found.figure) == (2, 285, "false_positive_rate")
    exact = stats.binomtest(2, 285).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.high == pytest.approx(0.0251, abs=1e-4)


def test_expected_interval_covers_the_true_rate() -> None:
    """Of 400 thresholds chosen on 500 uniform scores, at least 95 % have their true rate in the interval."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        scores = random.random(500)
        found = expected(scores, blocks=1)
        true = 1 - threshold.choose(RULE, scores, np.zeros(500))
        covered += found.low <= true <= found.high
    assert covered >= 375


def test_alerts_in_bursts_widen_the_interval() -> None:
    """Ten alerts in one block of five say less than ten spread over all blocks."""
    spread, burst = np.zeros(2_000), np.zeros(2_000)
    spread[::200] = 0.9
    burst[:10] = 0.9
    even, uneven = (expected(scores) for scores in (spread, burst))
    assert even.count == uneven.count == 10
    assert even.dispersion == 1.0
    assert uneven.dispersion == pytest.approx(10.0, rel=0.01)
    assert uneven.low < even.low < even.value < even.high < uneven.high


def test_expected_without_rows_is_none_and_bounds_stay_probabilities() -> None:
    """No legitimate rows give no interval; no alerts and nothing but alerts give one that ends at 0 or 1."""
    assert threshold_evidence.expected("fixed", 0.5, [0.9], [1], blocks=5, source="validation") is None
    nothing = threshold_evidence.expected("fixed", 0.5, [0.1] * 9, [0] * 9, blocks=3, source="validation")
    everything = threshold_evidence.expected("alert_budget", 0.0, [0.1] * 9, blocks=3, source="validation")
    assert nothing is not None and everything is not None
    assert (nothing.low, everything.high) == (0.0, 1.0)
    assert 0 < nothing.high < 0.4 and 0.6 < everything.low < 1
    assert everything.figure == "alert_rate"
    assert json.loads(json.dumps(nothing.to_dict()))["of"] == 9


def test_options_state_alerts_recall_and_money() -> None:
    """Each share of alerts has its threshold, alerts a day, recall by count and by amount, and what it misses."""
    scores, labels, amounts = [0.9, 0.8, 0.7, 0.6, 0.1], [1, 0, 1, 0, 0], [10.0, 99.0, 90.0, 5.0, 1.0]
    one, three = threshold_evidence.options(scores, labels, amounts, days=2.0, alert_shares=(0.2, 0.6))
    assert (one.alerts, one.alerts_per_day, one.recall.value) == (1, 0.5, 0.5)
    assert (one.value_recall, one.value_missed, one.false_positive_rate) == (0.1, 90.0, 0.0)
    assert (three.alerts, three.recall.value, three.value_recall, three.value_missed) == (3, 1.0, 1.0, 0.0)
    assert three.false_positive_rate == pytest.approx(1 / 3)
    assert one.threshold > three.threshold
    assert json.loads(json.dumps(one.to_dict()))["recall"]["of"] == 2


def test_options_leave_out_what_no_threshold_separates() -> None:
    """Three rows score 1: no threshold alerts one row in five, and one alerts three."""
    scores = [1.0, 1.0, 1.0, 0.2, 0.1]
    (only,) = threshold_evidence.options(scores, [1, 0, 0, 0, 0], [1.0] * 5, days=1.0, alert_shares=(0.2, 0.6))
    assert (only.alert_share, only.alerts) == (0.6, 3)


def test_options_without_frauds_or_days_have_none_not_nan() -> None:
    """Undefined figures are None."""
    (one,) = threshold_evidence.options([0.9, 0.1], [0, 0], [1.0, 1.0], days=0.0, alert_shares=(0.5,))
    assert one.alerts_per_day is one.recall.value is one.value_recall is None


def test_least_option_is_the_first_that_suffices() -> None:
    """Three of four frauds are asked for; a legitimate row with the score of the third is alerted with it."""
    scores, labels = [0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.1], [1, 0, 1, 0, 1, 0, 1]
    found = threshold_evidence.least(
        scores, labels, [10.0] * 7, days=2.0, suffices=lambda recall: (recall.value or 0.0) > 0.6
    )
    assert found is not None
    assert (found.threshold, found.alerts, found.recall.count, found.alerts_per_day) == (0.6, 5, 3, 2.5)
    assert (found.alert_share, found.value_missed) == (5 / 7, 10.0)
    assert threshold_evidence.least(scores, labels, [10.0] * 7, days=2.0, suffices=lambda _: False) is None


def test_shortfall_says_what_would_suffice() -> None:
    """Share, alerts a day and false alarms of the option; or that there is none."""
    (option,) = threshold_evidence.options(
        np.linspace(0, 1, 100, endpoint=False), np.arange(100) >= 97, np.ones(100), days=2.0, alert_shares=(0.05,)
    )
    text = threshold_evidence.shortfall(rate(144, 200, ""), 0.90, option) or ""
    assert "met once 5 % of the transactions are alerted, 2.5 a day, at a false-positive rate of 2.06 %. A" in text
    assert "No number of alerts meets" in (threshold_evidence.shortfall(rate(144, 200, ""), 0.90) or "")


def test_attainable_recall_is_that_of_a_perfect_ranking() -> None:
    """Where 2.5 % of the rows are frauds, alerts on 1 % find 40 % of them at best; a bit more by chance."""
    found = threshold_evidence.attainable(1000, 40_000, 0.01)
    assert 0.40 < found < 0.43
    assert found == 0.01 / (rate(1000, 40_000, "").low or 1)
    assert threshold_evidence.attainable(20, 40_000, 0.01) == threshold_evidence.attainable(0, 40_000, 0.01) == 1.0
    text = threshold_evidence.shortfall(rate(144, 200, ""), 0.90, None, found) or ""
    assert f"No model finds more than {found:.2f} of them within it. No number of alerts meets" in text


@pytest.mark.parametrize(("limit", "asked"), [(1.0, False), (0.4, True)])
def test_shortfall_of_a_model_that_does_not_rank_is_no_question_of_the_budget(limit: float, asked: bool) -> None:
    """The gate's limit takes alerts on half of the rows: another model is needed, unless none keeps to the budget."""
    random = np.random.default_rng(1).random(200)
    needed = threshold_evidence.least(
        random, np.arange(200) < 50, np.ones(200), days=1.0, suffices=lambda recall: (recall.value or 0.0) > 0.5
    )
    assert needed is not None and needed.alert_share > 0.4
    assert (threshold_evidence.shortfall(rate(24, 200, ""), 0.80, needed, limit) is not None) is asked


def test_shortfall_needs_evidence() -> None:
    """Recall 0.72 of 200 frauds is below 0.90 beyond chance; 0.80 of ten is not."""
    text = threshold_evidence.shortfall(rate(144, 200, ""), 0.90)
    assert text is not None
    assert "within it, recall is 0.72 (at most 0.78) on 200 frauds, and 0.90 is wanted" in text
    assert threshold_evidence.shortfall(rate(8, 10, ""), 0.90) is None
    assert threshold_evidence.shortfall(rate(0, 0, "no frauds"), 0.90) is None
