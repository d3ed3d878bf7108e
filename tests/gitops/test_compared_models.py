"""Tests of the rates of both models on the rows of their comparison."""

from __future__ import annotations

import pytest

from ml.gitops import compared_models
from ml.model import metrics
from tests.report.evaluations import COMPARED, evaluation

AMOUNTS = {
    "rows": 3900,
    "positives": 40,
    "amount": 400.0,
    "models": {"challenger": {"value_recall": 0.96, "options": []}, "champion": {"value_recall": 0.9, "options": []}},
}


def test_both_models_have_counts_and_rates_per_day() -> None:
    """Counts follow from the rates; 3,900 of 4,000 test rows over two days are scaled to the test rows."""
    both = compared_models.models(evaluation(champion=COMPARED) | {"amounts_found": AMOUNTS})
    assert both is not None
    new, former = both
    assert (new.found, new.false_alarms, new.alerts) == (38, 30, 68)
    assert (former.found, former.false_alarms, former.alerts) == (38, 31, 69)
    assert new.alert_share == pytest.approx(68 / 3900)
    assert new.alerts_per_day == pytest.approx(68 * 4000 / 3900 / 2)
    assert former.false_alarms_per_day == pytest.approx(31 * 4000 / 3900 / 2)
    assert (new.amount_found, former.amount_found) == (0.96, 0.9)


def test_what_is_not_measured_is_none() -> None:
    """Without a champion, without whole days, and in an evaluation of an earlier version."""
    assert compared_models.models(evaluation()) is None
    made = evaluation(champion=COMPARED)
    instant = {"end": made["windows"]["test"]["start"]}
    made["windows"] = {name: part | instant for name, part in made["windows"].items()}
    both = compared_models.models(made)
    assert both is not None
    assert [both[0].alerts_per_day, both[0].false_alarms_per_day, both[0].amount_found] == [None, None, None]


def test_ratio_is_said_where_it_is_large() -> None:
    """A quarter more or a fifth fewer is said as a ratio; nothing is no base of one."""
    assert compared_models.ratio(9.5, 3.4) == " (2.8 times)"
    assert compared_models.ratio(4, 8) == " (0.5 times)"
    assert compared_models.ratio(7.7, 7.1) == compared_models.ratio(3, 0) == ""


def test_change_is_in_words() -> None:
    """Figures that read the same are equal; others have a ratio if it is large, and else their difference."""
    assert compared_models.change(35.04, 34.96, digits=1) == "equal"
    assert compared_models.change(34.9, 35.4, digits=1) == "−0.5"
    assert compared_models.change(9.5, 3.4, digits=1) == "2.8 times"
    assert compared_models.change(3, 0, digits=0) == "+3"
    assert compared_models.change(0, 0, digits=0) == "equal"


@pytest.mark.parametrize(("count", "of"), [(0, 10), (1, 10), (68, 3900), (3900, 3900)])
def test_lower_limit_is_that_of_the_metrics(count: int, of: int) -> None:
    """The same interval as that of every share of an evaluation."""
    assert compared_models.lower_limit(count, of) == pytest.approx(metrics.rate(count, of, "").low, abs=1e-12)
