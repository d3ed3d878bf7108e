"""The highest amounts, if a model alerts on nearly every transaction of them."""

from __future__ import annotations

from typing import Any

from ml.gitops import high_amounts
from tests.report.evaluations import COMPARED, evaluation


def band(name: str, *, rows: int = 120, frauds: int = 60, found: float = 1.0, wrong: float = 0.9) -> dict[str, Any]:
    """A slice of which the new model finds `found` of the frauds, and the champion a tenth; `wrong`: false alarms."""
    return {
        "name": name,
        "rows": rows,
        "positives": frauds,
        "recall": {"challenger": found, "champion": 0.1} if frauds else None,
        "false_positive_rate": {"challenger": wrong, "champion": 0.0},
    }


def said(*slices: dict[str, Any]) -> str:
    """The sentence about these slices."""
    return high_amounts.sentence(evaluation(champion=COMPARED | {"slices": list(slices)}), "0001")


def test_highest_amounts_with_nearly_as_many_alerts_are_pointed_out() -> None:
    """With all frauds and those that raise an alert, and with what the champion alerts on."""
    assert said(band("amount below 22", wrong=0.01), band("amount 812.5 or more", found=0.75, wrong=0.95)) == (
        "Of 120 compared test transactions with an amount of 812.5 or more, 60 of them frauds, it alerts on 102 (85 "
        "%), 45 of them frauds; 0001 on 6, 6 of them frauds."
    )
    none = said(band("amount 812.5 or more", frauds=0, wrong=0.8))
    assert ", 0 of them frauds, it alerts on 96 (80 %), 0 of them frauds; 0001 on 0, 0 of them frauds." in none


def test_few_rows_other_alerts_and_other_kinds_are_not() -> None:
    """Of half of a band, of ten rows, or of a pattern: the amount does not decide alone."""
    assert said(band("amount 812.5 or more", wrong=0.5)) == ""
    assert said(band("amount 812.5 or more", rows=10, frauds=5)) == ""
    assert said(band("new pattern")) == ""
    assert said(band("amount below 22")) == said(band("amount 365 to 812.5")) == ""  # these amounts are not high
    assert high_amounts.sentence(evaluation(), "0001") == ""
