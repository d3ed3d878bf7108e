"""Tests of the gate's lines: marks, order, and what is folded."""

from __future__ import annotations

from typing import Any

from ml.gitops import gate_lines
from tests.report.evaluations import COMPARED, evaluation


def check(name: str, outcome: str | None, *, passed: bool = True) -> dict[str, Any]:
    """A check with its name as its sentence."""
    return {"name": name, "passed": passed, "detail": f"Detail of {name}.", "outcome": outcome}


def gated(*checks: dict[str, Any], champion: dict[str, Any] = COMPARED) -> dict[str, Any]:
    """An evaluation with these checks."""
    made = evaluation(champion=champion)
    return made | {"verdict": made["verdict"] | {"checks": list(checks)}}


def test_worse_lines_come_first_with_a_mark_of_their_own() -> None:
    """Failed, tolerated, unknown, passed; only what passed or is better has a green tick."""
    made = gated(
        check("limit", None),
        check("better", "better"),
        check("unknown", "cannot tell"),
        check("precision", "worse"),
        check("recall", "worse", passed=False),
    )
    assert gate_lines.lines(made) == [
        "- ❌ Detail of recall.",
        "- ⚠️ Detail of precision.",
        "- ❓ Detail of unknown.",
        "- ✅ Detail of limit.",
        "- ✅ Detail of better.",
    ]


def test_check_that_cannot_tell_is_not_folded_with_those_that_passed() -> None:
    """And is not counted as one of them."""
    shown, folded = gate_lines.section(gated(check("recall", "cannot tell"), check("limit", None))).split("<details>")
    assert "- ❓ Detail of recall." in shown
    assert "<summary>1 other check passed</summary>" in folded


def test_passed_checks_are_folded() -> None:
    """Only what a reviewer must weigh is in no fold."""
    shown, folded = gate_lines.section(gated(check("limit", None), check("precision", "worse"))).split("<details>")
    assert shown.startswith("## Gate: passed\n\nWorse than the champion beyond chance, and tolerated by the rules of ")
    assert "- ⚠️ Detail of precision." in shown
    assert "<summary>1 other check passed</summary>" in folded
    assert "- ✅ Detail of limit." in folded
    assert "<summary>1 check passed</summary>" in gate_lines.section(gated(check("limit", None)))


def test_slices_with_few_frauds_share_a_line() -> None:
    """Their names with the number of frauds; the intervals of a few frauds say nothing."""
    made = gated(check("champion_recall_amount below 20", "cannot tell"), check("champion_recall_other", "cannot tell"))
    line = "- ❓ Too few frauds to tell in recall by kind: amount below 20 (3 frauds), other."
    assert gate_lines.lines(made) == [line]


def test_comparison_that_was_not_possible_is_a_line() -> None:
    """Unless a check of it has failed, which says so itself."""
    apart = COMPARED | {"status": "not possible", "reason": "3 frauds.", "cause": "few frauds"}
    assert gate_lines.lines(gated(check("limit", None), champion=apart)) == [
        "- ❓ Cannot tell whether this model is worse than the champion. 3 frauds.",
        "- ✅ Detail of limit.",
    ]
    failed = check("champion_comparison", "cannot tell", passed=False) | {"detail": "3 frauds."}
    assert gate_lines.lines(gated(failed, champion=apart)) == ["- ❌ 3 frauds."]
    assert gate_lines.lines(gated(champion=apart)) == []


def test_missing_inputs_are_left_to_a_person() -> None:
    """The heading says that the gate cannot tell, and the reason stands in no fold."""
    apart = COMPARED | {"status": "not possible", "reason": "V2 is gone.", "cause": "missing inputs"}
    section = gate_lines.section(gated(check("limit", None), champion=apart))
    assert section.startswith("## Gate: cannot tell\n\n- ❓ Cannot tell whether")
    assert section.endswith("merging this is that decision.")
