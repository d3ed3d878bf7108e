"""A change of the threshold is supported only if neither false alarms nor recall become worse beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from ml.model.metrics import rate
from ml.model.threshold_change import ThresholdChange, ThresholdFigures
from ml.model.training_settings import Threshold

FRAUD = np.linspace(0.05, 0.99, 20)
LEGITIMATE = np.linspace(0.0, 0.5, 2000)
SCORES, LABELS = np.r_[FRAUD, LEGITIMATE], np.r_[np.ones(20, int), np.zeros(2000, int)]
AMOUNTS = np.r_[np.full(20, 100.0), np.full(2000, 10.0)]
POLICY = Threshold(policy="max_recall_at_fpr", value=0.0075)


def change(before: float, after: float, policy: Threshold = POLICY) -> ThresholdChange:
    """The change from one threshold to another on the rows above."""
    champion, new = (ThresholdFigures.of(score, SCORES, LABELS, AMOUNTS) for score in (before, after))
    return ThresholdChange(champion=champion, new=new, policy=policy)


def test_figures_count_scores_at_or_above_the_threshold() -> None:
    """A score equal to the threshold is an alert, as in the scorer."""
    score = float(FRAUD[5])
    figures = ThresholdFigures.of(score, SCORES, LABELS, AMOUNTS)
    caught, alarms = 15, int(np.count_nonzero(score <= LEGITIMATE))
    assert figures.alerts == caught + alarms
    assert figures.recall == rate(caught, 20, "")
    assert figures.false_positive_rate == rate(alarms, 2000, "")
    assert figures.alert_rate == rate(caught + alarms, 2020, "")
    assert figures.value_missed == 5 * 100.0


@pytest.mark.parametrize(
    ("after", "failed"),
    [(0.40, []), (0.401, []), (0.399, []), (0.30, ["threshold_false_positive_rate"]), (0.95, ["threshold_recall"])],
)
def test_only_changes_within_the_champions_interval_pass(after: float, failed: list[str]) -> None:
    """From .40: small changes pass; many more alarms and a lower recall fail, each by its own check."""
    checks = change(0.40, after).checks()
    assert [check.name for check in checks] == ["threshold_false_positive_rate", "threshold_recall"]
    assert [check.name for check in checks if not check.passed] == failed
    assert all(check.detail.startswith("Threshold gate failed: ") for check in checks if not check.passed)


def test_limits_are_the_bounds_of_wilsons_interval() -> None:
    """The false-positive rate may reach the upper bound of the champion's, the recall its lower bound."""
    before = change(0.40, 0.40).champion
    alarms, recall = change(0.40, 0.40).checks()
    assert (alarms.limit, recall.limit) == (before.false_positive_rate.high, before.recall.low)
    assert "20 % against 20 % at the champion's threshold" in alarms.detail


def test_rows_without_frauds_support_no_change() -> None:
    """Without frauds the recall is not known, and the check fails with that reason."""
    figures = ThresholdFigures.of(0.4, LEGITIMATE, np.zeros(2000, int), np.ones(2000))
    recall = ThresholdChange(champion=figures, new=figures, policy=POLICY).checks()[1]
    assert (recall.passed, recall.observed) == (False, None)
    assert recall.detail == (
        "The change of the threshold cannot be checked: its recall is not known, no frauds among the rows."
    )


def supported(before: float, after: float, policy: Threshold) -> tuple[bool, str]:
    """Whether the check of the false-positive rate passes, and its sentence."""
    check = change(before, after, policy).checks()[0]
    return check.passed, check.detail


def test_more_false_alarms_within_the_policys_budget_pass_if_recall_rises_beyond_chance() -> None:
    """10 of 20 frauds become 16, above the interval of 10; the policy allows the false alarms."""
    passed, detail = supported(0.4998, 0.2, Threshold(policy="max_recall_at_fpr", value=0.7))
    assert passed, detail
    assert detail.endswith(
        "It finds 6 frauds more, beyond chance, and the false-positive rate 60 % is within the policy's 70 %."
    )
    assert detail.startswith(
        "The new threshold would raise the false-positive rate beyond chance, which its gain supports"
    )


def test_more_false_alarms_above_the_policys_budget_fail() -> None:
    """The same change fails under a policy that allows 50 %."""
    passed, detail = supported(0.4998, 0.2, Threshold(policy="max_recall_at_fpr", value=0.5))
    assert not passed
    assert detail.startswith("Threshold gate failed: ")
    assert detail.endswith(
        "It finds 6 frauds more, beyond chance, and the false-positive rate 60 % is above the policy's 50 %."
    )


def test_one_fraud_more_does_not_pay_for_more_false_alarms() -> None:
    """From 0.05 % to 1 % of legitimate rows is more than chance, and one fraud of 20 is not."""
    passed, detail = supported(0.4998, 0.4952, Threshold(policy="max_recall_at_fpr", value=0.012))
    assert not passed
    assert detail.endswith(
        "It finds 1 fraud more, which may be chance, and the false-positive rate 1 % is within the policy's 1.2 %."
    )


def test_more_false_alarms_that_find_no_more_frauds_fail() -> None:
    """Within the budget, but nothing is gained: doing nothing is better."""
    passed, detail = supported(0.4998, 0.4968, POLICY)
    assert not passed
    assert "It finds no fraud more" in detail


def test_alert_budget_is_compared_with_the_alert_rate() -> None:
    """1,216 of 2,020 rows are alerted: within 60.3 %, above 60.1 %, although the false-positive rate is 60 %."""
    assert supported(0.4998, 0.2, Threshold(policy="alert_budget", value=0.603))[0]
    passed, detail = supported(0.4998, 0.2, Threshold(policy="alert_budget", value=0.601))
    assert not passed
    assert "the alert rate 60.2 % is above the policy's 60.1 %" in detail


@pytest.mark.parametrize(("alert_cost", "passed"), [(1.0, True), (10.0, False)])
def test_min_cost_supports_what_costs_less(alert_cost: float, passed: bool) -> None:
    """One more fraud of 100 against twenty more alerts."""
    policy = Threshold(policy="min_cost", value=alert_cost, loss_share=1.0)
    found, detail = supported(0.4998, 0.4952, policy)
    assert found == passed, detail
    assert "alerts and missed frauds cost" in detail


def test_fixed_threshold_allows_no_share_of_alerts() -> None:
    """Without a policy that limits alerts, only chance is tolerated."""
    passed, detail = supported(0.4998, 0.4952, Threshold(policy="fixed", value=0.4952))
    assert not passed
    assert detail.endswith("The threshold policy fixed allows no share of alerts.")


def test_recall_below_the_champions_interval_fails_whatever_the_policy() -> None:
    """Fewer false alarms are no excuse for a lower recall."""
    for policy in (POLICY, Threshold(policy="alert_budget", value=0.5)):
        assert [check.name for check in change(0.4, 0.95, policy).checks() if not check.passed] == ["threshold_recall"]
