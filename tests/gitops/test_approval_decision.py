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
            "0002: worse in average precision than 0001: average precision −0.005 (−0.010 to −0.001), recall equal, "
            "+1 false alarm",
        ),
        (
            {"average_precision": EQUAL, "recall": EQUAL, "false_positive_rate": EQUAL},
            "0002: equal to 0001 within the interval: average precision equal, recall equal, false alarms equal",
        ),
        (
            {"average_precision": difference(0.2, 0.1, 0.3), "recall": difference(0.5, 0.2, 0.7)},
            "0002: better in average precision and recall than 0001: average precision +0.200 (+0.100 to +0.300), "
            "recall +0.500",
        ),
        (
            {"recall": difference(0.5, 0.2, 0.7), "false_positive_rate": difference(0.01, 0.005, 0.02)},
            "0002: better in recall, worse in false alarms than 0001: recall +0.500, +39 false alarms",
        ),
        (
            {"recall": EQUAL, "false_positive_rate": difference(-0.01, -0.02, -0.005)},
            "0002: better in false alarms than 0001: recall equal, −39 false alarms",
        ),
    ],
)
def test_title_says_whether_it_is_better(figures: dict[str, Any], title: str) -> None:
    """And in which figures: those whose interval excludes zero; an undefined figure is left out."""
    absent = dict.fromkeys(("average_precision", "recall", "false_positive_rate"))
    made = evaluation(champion=COMPARED | absent | figures)
    assert approval_decision.title(of(), made) == title
    assert approval_decision.sentence(of(), made) == (
        f"Approval 0002 is {title.removeprefix('0002: ')}, on 3,900 test rows with 40 frauds that 0001, the champion, "
        "was not trained on."
    )


def test_title_without_a_comparison_has_the_recall() -> None:
    """A first model, a model that was not compared, and one without figures say so; there is no sentence."""
    assert approval_decision.title(record(7), evaluation()) == "0007: the first model: recall 0.90 (0.80 to 0.95)"
    assert approval_decision.title(record(7, metrics={}), evaluation()) == "0007: the first model"
    apart = evaluation(champion=COMPARED | {"status": "not possible", "reason": "Few frauds."})
    assert approval_decision.title(of("not possible"), apart) == (
        "0002: not compared with 0001: recall 0.90 (0.80 to 0.95)"
    )
    assert approval_decision.sentence(of("not possible"), apart) == ""
    assert approval_decision.sentence(record(7), evaluation()) == ""


def test_title_names_the_kind_of_run() -> None:
    """A run that was no fit is named after the number."""
    threshold = of().model_copy(update={"kind": "threshold"})
    assert approval_decision.title(threshold, evaluation(champion=COMPARED)).startswith(
        "0002 (threshold): equal to 0001 within"
    )
