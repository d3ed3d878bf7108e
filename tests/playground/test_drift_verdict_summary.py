"""The summary of a verdict has its strongest findings and the largest shift."""

from __future__ import annotations

from typing import Any

from ml.playground import drift_verdict_summary


def finding(statistic: str, p_value: float | None, *, fired: bool = True, value: float | None = 0.5) -> dict[str, Any]:
    """A finding as in a verdict's document."""
    return {
        "kind": "data",
        "statistic": statistic,
        "subject": "V1",
        "value": value,
        "threshold": 1_000.0,
        "p_value": p_value,
        "fired": fired,
        "detail": "",
    }


def test_findings_are_the_six_strongest_and_the_number_of_the_rest() -> None:
    """They are ordered by p-value, those without one last; findings that did not fire are left out."""
    every = [finding(f"s{i}", 10.0**-i) for i in range(8)] + [finding("rows", None), finding("quiet", 0.0, fired=False)]
    quoted = drift_verdict_summary.findings({"findings": every})
    assert list(quoted) == [*(f"data: s{i} of V1" for i in (7, 6, 5, 4, 3, 2)), "and"]
    assert quoted["and"] == "3 more"
    assert quoted["data: s7 of V1"] == "0.5 (limit 1,000, p = 1.0e-07)"


def test_findings_with_p_values_of_0_are_ordered_by_multiple_of_limit() -> None:
    """Concept findings are first; a p-value of 0 is shown as a bound."""
    near, far = finding("ks", 0.0, value=1_500.0), finding("psi", 0.0, value=90_000.0)
    quoted = drift_verdict_summary.findings({"findings": [near, far, finding("recall", 1e-9) | {"kind": "concept"}]})
    assert list(quoted) == ["concept: recall of V1", "data: psi of V1", "data: ks of V1"]
    assert quoted["data: psi of V1"] == "90,000 (limit 1,000, p < 1e-300)"


def test_largest_shift_is_given_where_nothing_fired() -> None:
    """The summary has the feature with the largest distance and the counts of the labels."""
    verdict = {
        "features": [{"name": "V1", "ks": 0.01, "mean_shift": 0.0}, {"name": "V2", "ks": 0.02, "mean_shift": -0.1}],
        "labels": {
            "confusion": {"true_positives": 4, "false_negatives": 1, "false_positives": 9, "true_negatives": 86}
        },
    }
    summary = drift_verdict_summary.largest_shift(verdict)
    assert summary["moved most"] == "V2: Kolmogorov–Smirnov distance 0.020, -0.10 sd"
    assert summary["labels by now"] == "4 of 5 frauds alerted, 9 false alarms"
    assert drift_verdict_summary.largest_shift({"features": [], "labels": None}) == {}
