"""What is for a merge, what against it, and what not merging costs."""

from __future__ import annotations

from typing import Any

from ml import config
from ml.gitops import merge_reasons
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
            f"It was made from {data.rows:,} labelled rows with {data.frauds:,} frauds, before 2026-03-01. "
            "It answers what asked for a retrain: concept drift."
        ),
        "Against": ("Finds 2 fewer of 40 frauds (within chance). No figure is shown to be better beyond chance."),
        "Not merging": (
            "Approval 0001 goes on serving. On the same test rows it finds 38 instead of 36 frauds, 90 % instead "
            "of 96 % of their amount, and raises 31 instead of 19 false alarms. Its request stays open, and drift of "
            "the same kind asks for no other retrain meanwhile."
        ),
    }


def test_strong_evidence_is_beyond_chance() -> None:
    """More alerts and high amounts are against it all the same."""
    more = {"challenger": 0.03, "champion": 0.005, "difference": 0.025, "low": 0.02, "high": 0.03}
    recall = {"challenger": 0.95, "champion": 0.5, "difference": 0.45, "low": 0.3, "high": 0.6}
    found = weighed({"recall": recall, "false_positive_rate": more}, requests=(), always="It alerts on all.")
    assert found["For"].startswith("Better in recall, beyond chance. It was made from ")
    assert "asked for a retrain" not in found["For"]
    assert found["Against"] == (
        "Worse in false alarms, beyond chance. Raises 3.9 times the alerts. Where the amount is high, nearly every "
        "transaction is an alert (above)."
    )
    assert "stays open" not in found["Not merging"]


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
