"""Tests of the gate: each limit at its edge, and readable reasons."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import gate
from ml.model.champion_comparison import NO_CHAMPION, Comparison, Difference
from ml.model.gate import Verdict
from ml.model.metrics import Estimate, rate
from tests.model.training_samples import GATE


def figures(found: int = 200, frauds: int = 246, false: int = 800, legitimate: int = 100_000) -> dict[str, Estimate]:
    """The metrics that the gate reads."""
    return {
        "recall": rate(found, frauds, "no frauds among the rows"),
        "false_positive_rate": rate(false, legitimate, "no legitimate rows"),
    }


def decide(comparison: Comparison = NO_CHAMPION, **counts: int) -> Verdict:
    """The verdict with the default gate: recall above 0.60, at most 5 % false positives, at least 15 frauds."""
    return gate.decide(GATE, figures(**counts), counts.get("frauds", 246), comparison)


def compared(precision: tuple[float, float], recall: tuple[float, float] = (0.0, 0.0)) -> Comparison:
    """A comparison with these intervals of the differences."""

    def difference(low: float, high: float) -> Difference:
        return Difference(
            challenger=0.8, champion=0.8 - (low + high) / 2, difference=(low + high) / 2, low=low, high=high
        )

    return Comparison(
        status="compared",
        reason="Compared.",
        artifact_sha256="f" * 64,
        rows=1000,
        positives=50,
        average_precision=difference(*precision),
        recall=difference(*recall),
    )


def test_failed_recall_reason_is_a_sentence() -> None:
    """The reason has the value, the limit, the evidence and the consequence."""
    verdict = decide(found=143)
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Recall gate failed: 0.58 ≤ 0.60 on 246 frauds in the test window. No package registered."
    )


def test_recall_must_exceed_the_limit() -> None:
    """Exactly 0.60 fails; one fraud more passes."""
    assert decide(found=60, frauds=100).status == "failed"
    assert decide(found=61, frauds=100).status == "passed"


def test_alerting_everything_fails() -> None:
    """Recall 1 at a false-positive rate of 1 fails."""
    verdict = decide(found=246, false=100_000)
    assert verdict.status == "failed"
    assert "False-positive gate failed: 100.00 % > 5.00 % of 100,000 legitimate rows." in verdict.reason


def test_false_positive_rate_may_equal_the_limit() -> None:
    """5 % passes, one row more fails."""
    assert decide(false=5_000).status == "passed"
    assert decide(false=5_001).status == "failed"


def test_too_few_frauds_fail() -> None:
    """14 frauds are too few evidence for any recall."""
    verdict = decide(found=14, frauds=14)
    assert verdict.status == "failed"
    assert "Too little evidence for a verdict: 14 frauds in the test window, at least 15 needed." in verdict.reason
    assert decide(found=15, frauds=15).status == "passed"


def test_undefined_recall_fails_with_reason() -> None:
    """Without frauds recall is undefined; the gate fails and says why."""
    verdict = decide(found=0, frauds=0)
    assert verdict.status == "failed"
    assert "Recall gate failed: no frauds among the rows." in verdict.reason
    assert next(check for check in verdict.checks if check.name == "recall").observed is None


def test_reason_names_all_failed_limits() -> None:
    """One reason lists all failures, and the consequence once."""
    reason = decide(found=1, frauds=10, false=50_000).reason
    assert reason.count("failed") == 2
    assert "Too little evidence" in reason
    assert reason.count(gate.NOTHING_REGISTERED) == 1


@pytest.mark.parametrize(
    ("high", "status"), [(-0.0201, "failed"), (-0.02, "passed"), (-0.01, "passed"), (0.05, "passed")]
)
def test_challenger_fails_only_beyond_chance_and_margin(high: float, status: str) -> None:
    """The upper end of the interval decides, against a margin of 0.02 in average precision."""
    assert decide(compared((-0.1, high))).status == status


def test_challenger_with_lower_recall_fails() -> None:
    """Recall has a margin of 0.05; the reason has both figures and the interval."""
    verdict = decide(compared((0, 0), (-0.2, -0.06)))
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Champion gate failed: worse than the champion in recall: 0.800 against 0.930 (-0.130, interval -0.200 to "
        "-0.060, a loss of 0.05 tolerated) on the same 1,000 rows with 50 frauds. No package registered."
    )


def test_passed_reason_states_missing_comparison() -> None:
    """A missing champion and a comparison that is not possible are both stated."""
    assert decide().reason.endswith("There is no champion to compare with: no model serves yet.")
    impossible = Comparison(status="not possible", reason="Comparison with the champion is not possible: 3 frauds.")
    verdict = decide(impossible)
    assert verdict.status == "passed"
    assert verdict.reason.endswith(impossible.reason)


@given(st.floats(0, 1), st.floats(0, 1))
def test_different_numbers_are_shown_differently(observed: float, limit: float) -> None:
    """0.5999 against 0.60 is not shown as 0.60 ≤ 0.60."""
    a, b = gate._digits(observed, limit)
    assert (a == b) == (observed == limit)


def test_verdict_is_json_and_fits_a_fail_step() -> None:
    """SageMaker takes 1,024 characters of a Fail step's message; the longest verdict fits."""
    verdict = decide(compared((-0.9, -0.8), (-0.9, -0.8)), found=1, frauds=10, false=50_000)
    assert len(verdict.reason) <= 1024
    assert json.loads(json.dumps(verdict.to_dict()))["status"] == "failed"
    assert all(set(check) == {"name", "passed", "observed", "limit", "detail"} for check in verdict.to_dict()["checks"])
