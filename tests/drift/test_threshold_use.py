"""A new threshold is asked for only where the serving one alerts more than its policy allows, beyond chance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ml.drift import threshold_use
from ml.drift.threshold_use import Scored
from ml.model import metrics
from ml.model.drift.window_counts import WindowSummary
from ml.model.training_settings import Threshold
from tests.drift.test_decision_policy import CHAMPION, verdict_on
from tests.model.drift_samples import BASELINE

POLICY = Threshold(policy="max_recall_at_fpr", value=0.0075)
TRAFFIC = WindowSummary.empty(BASELINE)


def scored(number: int, false_alarms: int, *, legitimate: int = 24_000, mature: bool = True, alerts: int = 0) -> Scored:
    """A month with so many false alarms among rows with mature labels, and so many alerts in all of 24,000."""
    confusion = {"true_positives": 40, "false_positives": false_alarms, "true_negatives": legitimate - false_alarms}
    labels: dict[str, Any] | None = {"confusion": confusion} if legitimate else None
    evaluated = ("concept", "data", "prediction") if mature else ("data", "prediction")
    verdict = verdict_on(number, CHAMPION, "data", evaluated=evaluated, labels=labels)
    return verdict, replace(TRAFFIC, decided=24_000, alerts=alerts)


@pytest.mark.parametrize(("false_alarms", "exceeded"), [(100, False), (180, False), (205, False), (210, True)])
def test_too_many_false_alarms_are_those_above_the_policys_beyond_chance(false_alarms: int, exceeded: bool) -> None:
    """Of 24,000 legitimate rows 180 are allowed; Wilson's interval of 205 still begins below them."""
    use = threshold_use.of_windows(POLICY, [scored(7, false_alarms)])
    expected = metrics.rate(false_alarms, 24_000, "")
    assert (use.exceeded, use.asks) == (exceeded, exceeded)
    assert (use.value, use.low, use.high) == (expected.value, expected.low, expected.high)
    assert (use.figure, use.limit, use.count, use.of) == ("false_positive_rate", 0.0075, false_alarms, 24_000)


def test_few_more_in_each_window_are_too_many_in_all() -> None:
    """200 of 24,000 may be chance, 600 of 72,000 are not."""
    windows = [scored(number, 200) for number in (5, 6, 7)]
    assert not threshold_use.of_windows(POLICY, windows[:1]).exceeded
    use = threshold_use.of_windows(POLICY, windows)
    assert (use.exceeded, use.count, use.of) == (True, 600, 72_000)
    assert "600 of 72,000 legitimate rows of 3 windows since the onset are alerted, 0.833 %" in use.reason


def test_latest_window_alone_is_enough() -> None:
    """Drift that grows shows in the latest window first."""
    use = threshold_use.of_windows(POLICY, [scored(5, 150), scored(6, 150), scored(7, 220)])
    assert (use.exceeded, use.count, use.of) == (True, 220, 24_000)


def test_windows_without_mature_labels_do_not_count() -> None:
    """False alarms are known by labels; the latest month has none yet."""
    windows = [scored(6, 220), scored(7, 90, legitimate=9_000, mature=False)]
    assert threshold_use.of_windows(POLICY, windows).count == 220
    use = threshold_use.of_windows(POLICY, windows[1:])
    assert (use.exceeded, use.asks) == (None, False)
    assert use.reason == "no window since the onset has mature labels"


def test_alert_budget_needs_no_label() -> None:
    """Alerts of unlabelled traffic are counted at once."""
    policy = Threshold(policy="alert_budget", value=0.01)
    use = threshold_use.of_windows(policy, [scored(7, 0, legitimate=0, mature=False, alerts=300)])
    assert (use.exceeded, use.figure, use.count, use.of) == (True, "alert_rate", 300, 24_000)
    assert "300 of 24,000 rows of one window since the onset are alerted" in use.reason
    assert not threshold_use.of_windows(policy, [scored(7, 0, alerts=250)]).exceeded
    assert threshold_use.of_windows(policy, []).reason == "no window since the onset has scored rows"


@pytest.mark.parametrize(("policy", "asks"), [("fixed", False), ("min_cost", True)])
def test_policies_without_a_rate(policy: str, asks: bool) -> None:
    """A fixed threshold stays; whether another costs less only a run can tell."""
    use = threshold_use.of_windows(Threshold(policy=policy, value=0.5, loss_share=1.0), [scored(7, 20_000)])
    assert (use.exceeded, use.asks) == (None, asks)
