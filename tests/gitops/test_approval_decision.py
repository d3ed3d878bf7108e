"""Tests of the title and the first sentence of an approval: better, equal, worse, not compared."""

from __future__ import annotations

from typing import Any

import pytest

from ml import config
from ml.gitops import approval_decision
from tests.harness.git.repositories import record
from tests.report.evaluations import CHAMPION, COMPARED, evaluation


def of(comparison: str = "compared") -> config.ApprovalRecord:
    """Approval 2, whose champion is 1."""
    champion = config.Champion(
        approval=1,
        model_package_arn="arn:aws:sagemaker:us-east-1:123456789012:model-package/fraudops-model/1",
        artifact_sha256=CHAMPION,
        comparison=comparison,  # type: ignore[arg-type] # the tests pass literals
        reason="A reason.",
    )
    return record(2, champion=champion)


def difference(value: float, low: float, high: float) -> dict[str, float]:
    """A figure of the comparison."""
    return {"challenger": 0.5 + value, "champion": 0.5, "difference": value, "low": low, "high": high}


EQUAL = difference(0.0, 0.0, 0.0)
LOWER = difference(-0.005, -0.010, -0.001)
ONE_MORE = difference(1 / 3860, -0.001, 0.002)


@pytest.mark.parametrize(
    ("figures", "title"),
    [
        (
            {"average_precision": LOWER, "recall": EQUAL, "false_positive_rate": ONE_MORE},
            "0002: worse in average precision than 0001: 1,000.0 → 1,000.5 alerts a day, recall equal, average "
            "precision −0.005 (−0.010 to −0.001)",
        ),
        (
            {"average_precision": EQUAL, "recall": EQUAL, "false_positive_rate": EQUAL},
            "0002: equal to 0001 within chance: 1,000.0 alerts a day as before, recall equal, average precision equal",
        ),
        (
            {"average_precision": difference(0.2, 0.1, 0.3), "recall": difference(0.45, 0.2, 0.7)},
            "0002: better in recall and average precision than 0001: recall 50 % → 95 %, average precision +0.200 "
            "(+0.100 to +0.300)",
        ),
        (
            {"recall": difference(0.05, -0.01, 0.1), "average_precision": difference(0.01, -0.01, 0.02)},
            "0002: equal to 0001 within chance: recall 50 % → 55 % (within chance), average precision +0.010 "
            "(within chance)",
        ),
        (
            {"recall": EQUAL, "false_positive_rate": difference(0.3, 0.2, 0.4)},
            "0002: worse in false alarms than 0001, each at its own threshold: 1,000.0 → 1,593.8 alerts a day (1.6 "
            "times), recall equal",
        ),
    ],
)
def test_title_says_whether_it_is_better(figures: dict[str, Any], title: str) -> None:
    """And in which figures: those whose interval excludes zero; an undefined figure is left out."""
    absent = dict.fromkeys(("average_precision", "recall", "false_positive_rate"))
    made = evaluation(champion=COMPARED | absent | figures)
    assert approval_decision.title(of(), made) == title
    said = title.removeprefix("0002: ")
    if "false_positive_rate" in figures:  # then a table has the figures
        said = said.partition(": ")[0]
    assert approval_decision.sentence(of(), made) == (
        f"Approval 0002 is {said}, on 3,900 test rows with 40 frauds that 0001, the champion, was not trained on."
    )


def test_title_without_a_comparison_has_the_recall() -> None:
    """A first model, a model that was not compared, and one without figures say so; there is no sentence."""
    assert approval_decision.title(record(7), evaluation()) == "0007: the first model: recall 90 % (80 % to 95 %)"
    assert approval_decision.title(record(7, metrics={}), evaluation()) == "0007: the first model"
    apart = evaluation(champion=COMPARED | {"status": "not possible", "reason": "Few frauds."})
    assert approval_decision.title(of("not possible"), apart) == (
        "0002: not compared with 0001: recall 90 % (80 % to 95 %)"
    )
    assert approval_decision.sentence(of("not possible"), apart) == ""
    apart["champion"] |= {"cause": "missing inputs"}
    apart["amounts_found"] = {"models": {"challenger": {"value_recall": 0.96, "options": []}}}
    assert approval_decision.title(of("not possible"), apart) == (
        "0002: not compared with 0001 (missing inputs): recall 90 % (80 % to 95 %), money found 96 %"
    )
    assert approval_decision.sentence(record(7), evaluation()) == ""


def test_figures_are_listed() -> None:
    """Three of them, those that concern the alerts first."""
    figures = dict.fromkeys(("average_precision", "recall"), LOWER) | {"false_positive_rate": difference(0.3, 0.2, 0.4)}
    assert approval_decision.title(of(), evaluation(champion=COMPARED | figures)).startswith(
        "0002: worse in recall, false alarms and average precision than 0001: "
    )


def test_title_ends_with_the_reason_where_it_is_short() -> None:
    """GitHub cuts titles; a long reason stands in the text alone."""
    made = evaluation(champion=COMPARED)
    title = approval_decision.title(of(), made)
    assert approval_decision.title(of(), made, reason="data drift") == f"{title}; data drift"
    assert approval_decision.title(of(), made, reason="x" * 200) == title


def test_alerts_are_counted_without_a_whole_day() -> None:
    """A part of a day gives no rate."""
    made = evaluation(champion=COMPARED)
    instant = {"end": made["windows"]["test"]["start"]}
    made["windows"] = {name: part | instant for name, part in made["windows"].items()}
    assert ": 69 → 68 alerts, recall equal" in approval_decision.title(of(), made)


def test_title_names_the_kind_of_run() -> None:
    """A run that was no fit is named after the number."""
    threshold = of().model_copy(update={"kind": "threshold"})
    assert approval_decision.title(threshold, evaluation(champion=COMPARED)).startswith(
        "0002 (threshold): equal to 0001 within"
    )


@pytest.mark.parametrize(
    ("recall", "new", "words"),
    [
        (EQUAL, 0.961, "recall equal, money found 90 % → 96 %"),
        (EQUAL, 0.9, "recall and money found equal"),
        (difference(0.4, 0.1, 0.6), 0.9, "recall 50 % → 90 %, money found equal"),
    ],
)
def test_title_has_the_money_that_is_found(recall: dict[str, float], new: float, words: str) -> None:
    """The share of the frauds' amount, which may fall while recall rises."""
    models = {name: {"value_recall": share, "options": []} for name, share in (("challenger", new), ("champion", 0.9))}
    amounts = {"rows": 3900, "positives": 40, "amount": 400.0, "models": models}
    made = evaluation(champion=COMPARED | {"recall": recall}) | {"amounts_found": amounts}
    assert f", {words}, average" in approval_decision.title(of(), made)
