"""The bands of amounts in which a model alerts on nearly every transaction."""

from __future__ import annotations

from typing import Any

from ml.gitops import high_amounts
from tests.report.evaluations import COMPARED, evaluation


def band(name: str, *, rows: int = 120, frauds: int = 60, wrong: float = 0.9) -> dict[str, Any]:
    """A slice of which the new model finds all frauds, and the champion a tenth; `wrong` is its false-positive rate."""
    return {
        "name": name,
        "rows": rows,
        "positives": frauds,
        "recall": {"challenger": 1.0, "champion": 0.1} if frauds else None,
        "false_positive_rate": {"challenger": wrong, "champion": 0.0},
    }


def said(*slices: dict[str, Any]) -> str:
    """The sentence about these slices."""
    return high_amounts.sentence(evaluation(champion=COMPARED | {"slices": list(slices)}), "0001")


def test_band_in_which_nearly_every_transaction_is_an_alert_is_pointed_out() -> None:
    """With its frauds, and with what the champion alerts on."""
    assert said(band("amount below 22", wrong=0.01), band("amount 812.5 or more")) == (
        "It alerts on 114 of the 120 test transactions with an amount of 812.5 or more (95 %; 0001 on 6), of which 60 "
        "are frauds."
    )
    two = said(band("amount 365 to 812.5", frauds=0, wrong=0.8), band("amount below 22"))
    assert "an amount of 365 to 812.5 (80 %; 0001 on 0), of which 0 are frauds; 114 of the 120" in two
    assert two.endswith("an amount below 22 (95 %; 0001 on 6), of which 60 are frauds.")


def test_few_rows_other_alerts_and_other_kinds_are_not() -> None:
    """Of half of a band, of ten rows, or of a pattern: the amount does not decide alone."""
    assert said(band("amount 812.5 or more", wrong=0.5)) == ""
    assert said(band("amount 812.5 or more", rows=10, frauds=5)) == ""
    assert said(band("new pattern")) == ""
    assert high_amounts.sentence(evaluation(), "0001") == ""
