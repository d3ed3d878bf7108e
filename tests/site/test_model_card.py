"""The card of a model: sentences and tables of its record and its evaluation."""

from __future__ import annotations

import dataclasses

import pytest

from ml import config
from ml.site import model_card, pages
from ml.site.values import Period
from tests.report.evaluations import HOSTILE_VALUE, evaluation, wasting
from tests.site.sites import at, period, site


def test_card_of_a_model_with_evidence() -> None:
    """Figures with counts and intervals, the comparison, slices, calibration and limits."""
    whole = site()
    card = model_card.card(whole, whole.records[2])
    assert card.title == "Model 0002: served 2 April 2026 to 2 May 2026"
    assert card.lead[0] == "It found 36 of 40 frauds in the test rows and raised 36 false alarms on 4,320 others."
    assert "alerts a day" in card.lead[1]
    assert [(item.name, item.value, item.counts) for item in card.figures][:2] == [
        ("recall", "90 % (80 to 95 %)", "36 of 40"),
        ("precision", "50 % (40 to 60 %)", "36 of 72"),
    ]
    assert card.compared[0] == ("recall", "95 %", "95 %", "+0 points (−2.5 to +2.5, within chance)")
    assert card.comparison.startswith("Both models scored the same 3,900 test rows with 40 frauds")
    assert card.slices == (
        ("amount below 20", "3 of 2,000", "100 %", "100 %", "+0 points (−60 to +60, within chance)"),
        ("amount 20 or more", "0 of 1,900", "–", "–", "no frauds"),
    )
    assert card.kinds_title == "Frauds found by hour and category"
    assert card.kinds[0][:5] == ("transactions", "rows", "frauds", "found", "found by champion")
    assert [row[0] for row in card.kinds[1:]] == ["hour 00:00 to 04:00 UTC", f"shop: {HOSTILE_VALUE}"]
    assert card.picture_text.startswith("Left: precision and recall of this model and the model before, on the same")
    assert card.calibration == (
        ("0 % to 0.1 %", "900", "0", "0 %"),
        ("0.1 % to 10 %", "90", "2", "2.22 %"),
        ("10 % to 100 %", "10", "9", "90 %"),
    )
    assert [name for name, _ in card.parts] == ["training", "choice of the threshold", "test"]
    assert dict(card.threshold)["chosen for"].startswith("the highest recall with alerts on at most 0.8 % of")
    assert card.limits[0].startswith("The test rows have 40 frauds: fewer than 50, so the recall on other rows may be")


def test_page_counts_the_checks_that_the_reason_leaves_out_by_outcome() -> None:
    """From the evaluation; without it the page says only that none failed."""
    whole = site()
    reason = "Recall 0.90 > 0.60 on 40 frauds. 3 more checks passed."
    record = whole.records[2].model_copy(update={"verdict": config.Verdict(status="passed", reason=reason)})
    made = whole.evidence[2].evaluation
    assert made is not None
    checks = [
        {"name": name, "passed": True, "detail": "It is said.", "outcome": outcome}
        for name, outcome in (("recall", None), ("a", "worse"), ("b", "cannot tell"), ("c", "cannot tell"))
    ]
    judged = dataclasses.replace(
        whole.evidence[2], evaluation={**made, "verdict": {**made["verdict"], "checks": checks}}
    )
    records = {**whole.records, 2: record}
    page = pages.render(site(records=records, evidence={2: judged}), pages.Addresses.of_repository(None))
    assert "on 40 frauds. 3 more: 1 worse but tolerated, 2 cannot tell.</p>" in page["models/0002.html"]
    without = pages.render(site(records=records, evidence={}), pages.Addresses.of_repository(None))
    assert "on 40 frauds. 3 more: none failed (each passed, is worse but" in without["models/0002.html"]


def test_card_without_evidence_has_the_record() -> None:
    """What only the evaluation has is left out."""
    whole = site(evidence={})
    card = model_card.card(whole, whole.records[1])
    assert card.title == "Model 0001: serves since 2 May 2026, 07:00 UTC"
    assert (card.parts, card.compared, card.slices, card.calibration, card.picture) == ((), (), (), (), None)
    assert (card.kinds, card.kinds_title) == ((), "")
    assert card.comparison == "There was no model to compare it with."
    assert card.threshold == (("alert from a score of", "0.25"),)
    assert [item.name for item in card.figures] == ["recall"]


def test_threshold_that_wastes_precision_is_a_limit() -> None:
    """The better one is named."""
    whole = site()
    evidence = dataclasses.replace(whole.evidence[2], evaluation=wasting(evaluation()))
    card = model_card.card(dataclasses.replace(whole, evidence={2: evidence}), whole.records[2])
    assert any("wastes precision" in text for text in card.limits)


@pytest.mark.parametrize(
    ("periods", "offline", "state"),
    [
        ((period(1, at(3), None),), False, "serves since 1 March 2026, 07:00 UTC"),
        ((period(1, at(3), None),), True, "named by Git"),
        ((period(1, at(3), at(4)), period(2, at(4), None)), True, "no longer named by Git"),
        ((period(1, at(3), at(4)), period(None, at(4), None)), True, "no longer named by Git"),
        ((period(2, at(3), None),), True, "was never named by Git"),
        ((period(1, at(3), None, start=None),), False, "was not deployed"),
        (
            (period(1, at(3), at(4)), period(2, at(4), at(5)), period(1, at(5), at(6)), period(2, at(6), None)),
            False,
            "served until 1 June 2026, the last of 2 times",
        ),
    ],
)
def test_state_of_a_model(periods: tuple[Period, ...], offline: bool, state: str) -> None:
    """What is known of its service, in a few words."""
    assert model_card.state(site(periods=periods, offline=offline), 1) == state


def test_card_begins_with_what_got_worse() -> None:
    """A precision that the gate tolerated is said before the kind of training; chance is not."""
    whole = site()
    assert not any("Worse" in sentence for sentence in model_card.card(whole, whole.records[2]).lead)
    worse = {"challenger": 0.415, "champion": 0.486, "difference": -0.071, "low": -0.118, "high": -0.037}
    measured = dict(whole.evidence[2].evaluation or {})
    measured["champion"] = measured["champion"] | {"precision": worse}
    evidence = {2: dataclasses.replace(whole.evidence[2], evaluation=measured)}
    lead = model_card.card(site(evidence=evidence), whole.records[2]).lead
    assert "Worse than the model before, beyond chance, in precision, −7.1 points (−11.8 to −3.7)." in lead
