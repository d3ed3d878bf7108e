"""The gate's reasons for readers who do not know its rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.gitops import gate_words
from ml.model import gate
from ml.model.champion_comparison import NO_CHAMPION, Comparison, Slice
from ml.model.metrics import rate
from ml.model.paired_difference import Difference
from tests.model.training_samples import GATE


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            "begins at 0.80, but 15 rows cannot tell, 43 are needed",
            "Too few frauds to judge by the interval (43 needed)",
        ),
        ("ends at 1.84 %, but 448 rows cannot tell", "Too few legitimate rows to judge by the interval"),
    ],
)
def test_undecided_interval_is_said_in_words(end: str, said: str) -> None:
    """How many would be needed, and that the rate was compared; other sentences stay."""
    reason = f"Recall 0.98 > 0.60 on 15 frauds; its interval {end}: the rate itself decides. Enough evidence: 1."
    assert gate_words.readable(reason) == (
        f"Recall 0.98 > 0.60 on 15 frauds. {said}, so the rate was compared. Enough evidence: 1."
    )
    assert gate_words.readable("Recall 0.9 > 0.6; its interval begins at 0.8, which decides.").endswith("decides.")


def test_words_are_those_of_the_gate() -> None:
    """The reasons that the gate itself writes about few rows are recognized."""
    metrics = {"recall": rate(15, 15, ""), "false_positive_rate": rate(1, 400, "")}
    reason = gate.decide(replace(GATE, decides="bound"), metrics, 15, NO_CHAMPION).reason
    assert "cannot tell" in reason
    assert "cannot tell" not in gate_words.readable(reason)
    assert gate_words.readable(reason).count("so the rate was compared.") == 2


def test_checks_that_a_reason_leaves_out_are_counted_by_outcome() -> None:
    """They are the last ones; without the checks the reason says only that none of them failed."""
    better = Difference(challenger=0.9, champion=0.8, difference=0.1, low=0.05, high=0.15)
    untold = Difference(challenger=0.9, champion=0.9, difference=0.0, low=-0.7, high=0.7)
    slices = tuple(
        Slice(name=f"amount {at}", rows=500, positives=50, recall=untold if at < 6 else better) for at in range(8)
    )
    metrics = {"recall": rate(200, 246, ""), "false_positive_rate": rate(1, 56_000, "")}
    comparison = Comparison(
        status="compared",
        reason="Compared.",
        artifact_sha256="f" * 64,
        rows=1000,
        positives=50,
        average_precision=better,
        recall=better,
        slices=slices,
    )
    verdict = gate.decide(GATE, metrics, 246, comparison).to_dict()
    hidden = [check for check in verdict["checks"] if check["detail"] not in verdict["reason"]]
    told = sum(check["outcome"] != "cannot tell" for check in hidden)
    assert verdict["status"] == "passed"
    assert 0 < told < len(hidden)
    assert gate_words.readable(verdict["reason"], verdict["checks"]).endswith(
        f" {len(hidden)} more: {told} passed, {len(hidden) - told} cannot tell."
    )
    assert gate_words.readable(verdict["reason"]).endswith(
        f" {len(hidden)} more: none failed (each passed, is worse but tolerated, or cannot tell)."
    )


def test_worse_checks_that_a_reason_leaves_out_are_no_passed_ones() -> None:
    """As in a model of the simulated year; outcomes that no check has are left out."""
    outcomes = ["worse", "worse", "cannot tell", "not worse", None, "better", "cannot tell", "cannot tell"]
    checks = [{"outcome": outcome} for outcome in outcomes]
    assert gate_words.readable("Recall. 7 more checks passed. No champion.", checks) == (
        "Recall. 7 more: 3 passed, 1 worse but tolerated, 3 cannot tell. No champion."
    )
    assert gate_words.readable("Recall. 2 more checks passed.", checks) == "Recall. 2 more: 2 cannot tell."
