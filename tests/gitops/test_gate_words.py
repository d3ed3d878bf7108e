"""The gate's reasons for readers who do not know its rules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ml.gitops import gate_words
from ml.model import gate
from ml.model.champion_comparison import NO_CHAMPION
from ml.model.metrics import rate
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
