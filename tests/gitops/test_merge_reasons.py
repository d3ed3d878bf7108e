"""What is for a merge, what against it, and what not merging costs."""

from __future__ import annotations

from typing import Any

import pytest

from ml import config
from ml.gitops import merge_reasons
from ml.model.drift.verdict import CAUSES
from tests.gitops.test_approval_decision import difference, of
from tests.gitops.test_compared_models import AMOUNTS
from tests.harness.git.repositories import record
from tests.report.evaluations import COMPARED, evaluation

REQUEST = "20260715T000000Z-concept-drift"
FEWER = {"challenger": 0.005, "champion": 0.008, "difference": -0.003, "low": -0.006, "high": 0.001}


def weighed(figures: dict[str, Any], *, requests: tuple[str, ...] = (REQUEST,), always: str = "") -> dict[str, str]:
    """The sentences by their names."""
    made = evaluation(champion=COMPARED | figures) | {"amounts_found": AMOUNTS}
    approval = of().model_copy(update={"requests": requests})
    return dict(merge_reasons.lines(approval, made, high_amounts=always))


def test_weak_evidence_has_its_reasons() -> None:
    """What chance may explain is for or against; that nothing is shown to be better is against; both models' finds."""
    recall = {"challenger": 0.9, "champion": 0.95, "difference": -0.05, "low": -0.1, "high": 0.02}
    found = weighed({"recall": recall, "false_positive_rate": FEWER, "average_precision": difference(0, -0.1, 0.1)})
    data = of().data
    assert found == {
        "For": (
            "Raises 12 false alarms fewer on 3,900 rows (within chance). "
            "It answers what asked for a retrain: concept drift."
        ),
        "Against": ("Finds 2 fewer of 40 frauds (within chance). No figure is shown to be better beyond chance."),
        "Not merging": (
            "Approval 0001 goes on serving. On the same test rows it finds 38 instead of 36 frauds, 90 % instead "
            "of 96 % of their amount, and raises 31 instead of 19 false alarms. Its request stays open, and "
            "meanwhile concept, data and prediction drift asks for no other retrain."
        ),
        "To decline": (
            "Close this pull request without merging it; scheduled drift checks go on. Closing it does not withdraw "
            "its request: a request's file is never deleted, and only an approval or a gate failure that is recorded "
            "on main resolves it. A training that starts later, by hand, by a commit in model-config/training/ or by "
            "another request, answers the open request again unless only others are named for it, in a pull request "
            "of its own if its model passes the gate."
        ),
        "Made from": f"{data.rows:,} labelled rows with {data.frauds:,} frauds, before 2026-03-01.",
    }


def test_strong_evidence_is_beyond_chance() -> None:
    """More alerts and high amounts are against it all the same."""
    more = {"challenger": 0.03, "champion": 0.005, "difference": 0.025, "low": 0.02, "high": 0.03}
    recall = {"challenger": 0.95, "champion": 0.5, "difference": 0.45, "low": 0.3, "high": 0.6}
    found = weighed({"recall": recall, "false_positive_rate": more}, requests=(), always="It alerts on all.")
    assert found["For"] == "Better in recall, beyond chance."
    assert found["Against"] == (
        "Worse in false alarms, beyond chance. Raises 3.9 times the alerts. Where the amount is high, nearly every "
        "transaction is an alert (above)."
    )
    assert "stays open" not in found["Not merging"]
    assert found["To decline"] == "Close this pull request without merging it; scheduled drift checks go on."


def test_declining_names_each_request_that_stays_open() -> None:
    """Several requests are in the plural."""
    asked = (REQUEST, "20260715T000000Z-data-drift")
    declined = weighed({}, requests=asked)["To decline"]
    assert "does not withdraw its requests: " in declined
    assert "answers the open requests again" in declined


def test_champion_without_an_alert_is_counted() -> None:
    """There is no ratio to it; the counts say more."""
    none = {"challenger": 0.03, "champion": 0.0, "difference": 0.03, "low": 0.02, "high": 0.04}
    recall = {"challenger": 0.95, "champion": 0.0, "difference": 0.95, "low": 0.8, "high": 1.0}
    found = weighed({"recall": recall, "false_positive_rate": none})
    assert "Raises 154 alerts on 3,900 rows, the champion none." in found["Against"]


def test_nothing_may_be_for_a_merge() -> None:
    """The rows that it was made from are no reason; they have a line of their own."""
    equal = {"challenger": 0.9, "champion": 0.9, "difference": 0.0, "low": -0.1, "high": 0.1}
    found = weighed({"recall": equal, "false_positive_rate": equal, "average_precision": equal}, requests=())
    assert found["For"] == "Nothing."


@pytest.mark.parametrize(
    ("causes", "held"),
    [
        (("concept",), ", and meanwhile concept, data and prediction drift asks for no other retrain."),
        (("data",), ", and meanwhile data and prediction drift asks for no other retrain."),
        (("prediction",), ", and meanwhile prediction drift asks for no other retrain."),
        (("prediction", "data"), ", and meanwhile data and prediction drift asks for no other retrain."),
        (("manual",), "."),
    ],
)
def test_open_request_holds_back_its_drift_and_weaker_kinds(causes: tuple[str, ...], held: str) -> None:
    """In the order in which the drift check looks for open requests; a person's own cause holds nothing back."""
    asked = tuple(f"20260715T000000Z-{each}{'' if each == 'manual' else '-drift'}" for each in causes)
    words = "Its request stays" if len(asked) == 1 else "Its requests stay"
    assert weighed({}, requests=asked)["Not merging"].endswith(f"{words} open{held}")
    places = [CAUSES.index(each) for each in causes if each in CAUSES]
    assert [kind for kind in CAUSES if kind in held] == list(CAUSES[min(places) :] if places else ())


def test_model_that_was_not_compared_is_unproved() -> None:
    """The reason is against it; without a champion there is nothing to weigh."""
    apart = COMPARED | {"status": "not possible", "reason": "Few frauds.", "recall": None, "false_positive_rate": None}
    made = evaluation(champion=apart | {"average_precision": None})
    lines = dict(merge_reasons.lines(of("not possible"), made, high_amounts=""))
    assert "Few frauds." in lines["Against"]
    assert lines["Not merging"].startswith("Approval 0001 goes on serving. Its request stays open, ")
    assert merge_reasons.lines(record(1), evaluation(), high_amounts="") == []


def test_checks_that_cannot_tell_are_counted() -> None:
    """They are listed below, with the gate."""
    made = evaluation(champion=COMPARED)
    check = {"name": "a", "passed": True, "detail": "It cannot be told.", "outcome": "cannot tell"}
    made["verdict"] = {**made["verdict"], "checks": [check, check]}
    approval: config.ApprovalRecord = of()
    found = dict(merge_reasons.lines(approval, made, high_amounts=""))
    assert "2 of the gate's checks cannot tell, for lack of frauds or rows (below)." in found["Against"]
