"""Each reason on docs/years.md follows from the results: it is there with them, and gone without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ml.simulate import scenario
from ml.simulate.scenario import Scenario
from tests.benchmarks import year_promises, year_reasons
from tests.benchmarks.year_figures import ORACLE, SIDES
from tests.benchmarks.year_kinds import KINDS

DEFAULT = KINDS["default"].make()
GOOD = {"frauds": 160, "detected": 158, "first_kind": 40, "first_kind_detected": 38, "legitimate": 24_000}


def year(*, new: int = 120, requests: Sequence[dict[str, Any]] = (), **fields: Any) -> dict[str, Any]:
    """The results of a year that keeps every promise, with `new` frauds of the second kind in each late month."""
    month = GOOD | {"frauds": 40 + new, "detected": 39 + new, "false_alarms": 150}
    equal = {"recall": 0.98, "recall_first_kind": 0.95}
    return {
        "seed": 1,
        "with_retraining": {"false_positive_rate": [0.006] * 12},
        "counts": {side: [month] * 12 for side in SIDES},
        "equal_false_alarms": dict.fromkeys(SIDES, equal),
        "early_alarms": 0,
        "days_to_alarm": 5,
        "days_to_recovery": 18,
        "has_concept_drift": True,
        "requests": list(requests),
        "no_labels_since": None,
        "no_labels_until": None,
        "last_check": "2026-12-31",
        **fields,
    }


def failed(reason: str, question: str | None = None) -> dict[str, Any]:
    """A request whose model failed the gate."""
    return {"made": "2026-08-01", "kind": "adapt", "result": "failed", "reason": reason, "question": question}


def test_good_year_has_no_misses_and_no_reasons() -> None:
    """Nothing is said where nothing is to be explained."""
    assert year_promises.misses([year()]) == year_reasons.reasons([year()], DEFAULT) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"days_to_alarm": 15}, "The alarm comes after 15 days in 1 of 2 years."),
        ({"days_to_alarm": None}, "No alarm at all in 1 of 2 years."),
        ({"days_to_drop": None}, "The part for the pattern that ended is not dropped in 1 of 2 years."),
        (
            {"no_labels_since": "2026-04-02", "no_labels_until": "2026-12-31"},
            "No label of passed rows arrives: recall is not known, and each check says so from 2026-04-02 on (1 of 2 "
            "years). What alerts reveal is not taken for the whole, so nothing is retrained.",
        ),
        (
            {"no_labels_since": "2026-04-02", "no_labels_until": "2026-04-20"},
            "Labels arrive late: checks say that recall is not known, at times (1 of 2 years).",
        ),
        (
            {"requests": [failed("Recall gate failed: 0.5 of 20. No package.", "The budget")]},
            "A person is asked to decide about the budget, by 1 run (1 of 2 years).",
        ),
        (
            {"requests": [failed("Recall gate failed: 0.5 of 20. No package.")]},
            "1 of 1 runs give no model; 1 of them end with: Recall gate failed.",
        ),
    ],
)
def test_reason_follows_from_a_figure(fields: dict[str, Any], said: str) -> None:
    """One year of two has the figure."""
    assert said in year_reasons.reasons([year(), year(**fields)], DEFAULT)


def test_bound_is_the_share_of_the_regions_legitimate_rows_that_may_be_alerted() -> None:
    """Half of 480 rows are frauds: 180 of the 240 others may be alerted, and with them 180 of the new frauds."""
    bound = year_reasons.recall_bound(year(new=240), DEFAULT, 0.0075)
    assert bound == pytest.approx((40 + 240 * 180 / 240) / 280)
    assert year_reasons.recall_bound(year(new=120), DEFAULT, 0.0075) == 1.0
    assert year_reasons.recall_bound(year(), scenario.load("none"), 0.0075) is None
    (said,) = year_reasons.reasons([year(new=240)], DEFAULT)
    assert (
        "than the 0.75 % of false alarms that the policy allows. No ranking finds more than 0.79 of all frauds." in said
    )


def test_concept_that_grows_has_the_bound_of_each_month() -> None:
    """A quarter of half of the region in the first month: more legitimate rows beside each fraud than later."""
    gradual: Scenario = KINDS["gradual"].make()
    months = [year_reasons.recall_bound(cut, gradual, 0.0075) for cut in (_months(year(new=30), 10), year(new=30))]
    assert months[0] is not None and months[1] is not None
    assert months[0] < months[1] == 1.0


def _months(full: dict[str, Any], count: int) -> dict[str, Any]:
    return full | {"counts": {side: months[:count] for side, months in full["counts"].items()}}


def test_first_model_is_named_where_nothing_new_is_left_to_find() -> None:
    """Without new frauds in the last months, its recall is the reference; with some, nothing is said."""
    quiet = year(new=0)
    quiet["counts"] = {side: [month | {"detected": 36} for month in months] for side, months in quiet["counts"].items()}
    said = "There are no new frauds in the last months, and the first model, never retrained, finds 0.900."
    assert year_reasons.reasons([quiet], scenario.load("none")) == [said]
    assert year_reasons.reasons([year()], DEFAULT) == []


def test_lost_frauds_of_the_first_kind_are_said() -> None:
    """Beyond what is promised, on average."""
    lost = year()
    served = {"recall": 0.9, "recall_first_kind": 0.9}
    lost["equal_false_alarms"] = {**lost["equal_false_alarms"], SIDES[0]: served}
    (said,) = year_reasons.reasons([lost], DEFAULT)
    assert said.startswith("At equal false alarms 0.050 of the frauds of the first kind are lost on average")
    lost["equal_false_alarms"][ORACLE] = {"recall": 0.99, "recall_first_kind": 0.937}
    assert year_reasons.reasons([lost], DEFAULT) == [
        said,
        "The oracle, which knows the scenario's rule, loses 0.013.",
    ]


def test_end_of_a_pattern_has_promises_of_its_own() -> None:
    """The part is dropped and false alarms are few within thirty days."""
    assert year_promises.misses([year(days_to_drop=18, false_positive_rate_after_end=0.008)]) == []
    late = year_promises.misses([year(days_to_drop=31, false_positive_rate_after_end=0.0101)])
    assert [miss.split(" (")[0] for miss in late] == [
        "more than 1 % false alarms from 30 days after the end of the pattern on",
        "the new part is not dropped within 30 days of the end of its pattern",
    ]


def test_retraining_without_new_frauds_is_compared_with_doing_nothing() -> None:
    """Recall and false alarms may differ from the first model's by chance alone."""
    quiet = year(new=0, has_concept_drift=False)
    month = quiet["counts"][SIDES[0]][0]
    few = year(new=0, has_concept_drift=False)
    few["counts"] = {**quiet["counts"], SIDES[0]: [month | {"detected": 38, "false_alarms": 160}] * 12}
    many = year(new=0, has_concept_drift=False)
    many["counts"] = {**quiet["counts"], SIDES[0]: [month | {"detected": 30, "false_alarms": 200}] * 12}
    assert not any("without new frauds" in miss for miss in year_promises.misses([quiet, few]))
    found = [miss.split(" (")[0] for miss in year_promises.misses([many]) if "without new frauds" in miss]
    assert found == [
        "without new frauds, recall below the interval of the first model's",
        "without new frauds, false alarms above the interval of the first model's",
    ]
