"""Tests of the table that a decision needs, and of the warning about labels."""

from __future__ import annotations

from typing import Any

import pytest

from ml.gitops import decision_table
from tests.gitops.test_compared_models import AMOUNTS
from tests.report.evaluations import COMPARED, evaluation


def rows(made: dict[str, Any]) -> dict[str, list[str]]:
    """The cells by the first of each row."""
    lines = decision_table.render(made, new="0002", former="0001").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {name: others for name, *others in cells}


def test_both_models_are_compared_in_alerts_frauds_and_money() -> None:
    """What serves now comes first; a difference within its interval is named chance."""
    found = rows(evaluation(champion=COMPARED) | {"amounts_found": AMOUNTS})
    assert found["on the same 3,900 test rows"] == ["now: 0001", "then: 0002", "change"]
    assert found["alerts a day"] == ["35.4", "34.9", "−0.5"]
    assert found["false alarms a day"] == ["15.9", "15.4", "−0.5, within chance"]
    assert found["frauds found"] == ["95 % (38 of 40)", "95 % (38 of 40)", "equal"]
    assert found["money found"] == ["90 %", "96 %", "+6.0 points"]
    assert found["average precision"] == ["0.880", "0.910", "+0.030 (−0.010 to +0.070, within chance)"]


def test_earlier_evaluation_has_no_row_of_money() -> None:
    """And without a comparison there is no table."""
    assert "money found" not in rows(evaluation(champion=COMPARED))
    assert decision_table.render(evaluation(), new="0002", former="0001") == ""


def test_rows_left_out_for_lack_of_a_label_are_said() -> None:
    """Under the table, because its rates a day do not count them."""
    made = evaluation(champion=COMPARED) | {"row_counts": {"unlabelled": 1_500}}
    said = "Alerts a day are of labelled transactions: 1,500 of the window have no label yet."
    assert decision_table.render(made, new="0002", former="0001").endswith(said)


def test_ratio_and_points_are_said() -> None:
    """Nearly three times as many alerts, and a gain in recall beyond chance."""
    wrong = {"challenger": 0.03, "champion": 0.005, "difference": 0.025, "low": 0.02, "high": 0.03}
    recall = {"challenger": 0.95, "champion": 0.5, "difference": 0.45, "low": 0.3, "high": 0.6}
    found = rows(evaluation(champion=COMPARED | {"false_positive_rate": wrong, "recall": recall}))
    assert found["alerts a day"][-1] == "3.9 times"
    assert found["frauds found"] == ["50 % (20 of 40)", "95 % (38 of 40)", "+45 points (+30 to +60)"]


def test_no_cell_of_change_is_empty() -> None:
    """Equal figures are named equal."""
    wrong = {"challenger": 0.008, "champion": 0.008, "difference": 0.0, "low": -0.001, "high": 0.001}
    same = {"challenger": 0.9, "champion": 0.9, "difference": 0.0, "low": -0.001, "high": 0.001}
    amounts = AMOUNTS | {"models": {name: {"value_recall": 0.9, "options": []} for name in ("challenger", "champion")}}
    figures = {"false_positive_rate": wrong, "average_precision": same | {"low": 0.0, "high": 0.0}}
    found = rows(evaluation(champion=COMPARED | figures) | {"amounts_found": amounts})
    del found["on the same 3,900 test rows"], found["---"]
    assert {name: cells[-1] for name, cells in found.items()} == dict.fromkeys(found, "equal")


@pytest.mark.parametrize(
    ("champion", "new", "former"),
    [(0.0099, "1.7 %, **over**", "1.9 %, **over**"), (0.002, "1.7 %, **over**", "1.2 %, over (within chance)")],
)
def test_both_models_are_judged_against_the_alert_budget_on_the_same_rows(
    champion: float, new: str, former: str
) -> None:
    """Being over it is chance if the interval of the share of alerts reaches down to the budget."""
    wrong = COMPARED["false_positive_rate"] | {"champion": champion}
    found = rows(evaluation(champion=COMPARED | {"false_positive_rate": wrong}))
    assert found["share alerted (budget 1 %)"][:2] == [former, new]


def test_alerts_are_counted_without_a_whole_day() -> None:
    """No rate is made up."""
    made = evaluation(champion=COMPARED)
    instant = {"end": made["windows"]["test"]["start"]}
    made["windows"] = {name: part | instant for name, part in made["windows"].items()}
    assert rows(made)["alerts, no whole day of data"] == ["69", "68", "−1"]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        ({"value": 0.009, "low": 0.008, "high": 0.011}, "within"),
        ({"value": 0.0117, "low": 0.0091, "high": 0.015}, "over (within chance)"),
        ({"value": 0.0108, "low": 0.0102, "high": 0.0115}, "**over**"),
        ({"value": None, "reason": "no rows"}, "not known"),
    ],
)
def test_alert_budget_is_judged(rate: dict[str, Any], words: str) -> None:
    """Against 1 %, with the interval of the rate."""
    made = evaluation(champion=COMPARED)
    made["metrics"]["alert_rate"] = rate
    assert decision_table.judged(made) == words


@pytest.mark.parametrize(
    ("train", "test", "warned"),
    [((456, 142_404), (145, 85_442), True), ((236, 142_404), (145, 85_442), False), ((8, 1_000), (4, 1_000), False)],
)
def test_shares_of_frauds_that_differ_are_pointed_out(
    train: tuple[int, int], test: tuple[int, int], warned: bool
) -> None:
    """By more than half and beyond chance: twice as many of a handful are chance."""
    made = evaluation()
    for part, (frauds, count) in (("train", train), ("test", test)):
        made["windows"][part] |= {"frauds": frauds, "rows": count}
    assert bool(decision_table.label_warning(made)) is warned
    if warned:
        assert decision_table.label_warning(made) == (
            "0.32 % of the training rows are labelled fraud, but 0.17 % of the test rows. Check the labels of the "
            "training rows."
        )


def test_parts_that_are_missing_give_no_warning() -> None:
    """A run that fits nothing may have test rows alone."""
    made = evaluation()
    del made["windows"]["train"]
    assert decision_table.label_warning(made) == ""
