"""Tests of the gate: each limit at its edge, and readable reasons."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.model import gate
from ml.model.champion_comparison import NO_CHAMPION, Comparison, Slice
from ml.model.gate import Verdict
from ml.model.gate_check import digits
from ml.model.metrics import Estimate, rate
from ml.model.paired_difference import Difference
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
        "Recall gate failed: 0.58 ≤ 0.60 on 246 frauds in the test window; its interval begins at 0.52, and the rate "
        "itself decides. No package registered."
    )


def test_recall_must_exceed_the_limit() -> None:
    """Exactly 0.60 fails; one fraud more passes."""
    assert decide(found=60, frauds=100).status == "failed"
    assert decide(found=61, frauds=100).status == "passed"


def test_alerting_everything_fails() -> None:
    """Recall 1 at a false-positive rate of 1 fails."""
    verdict = decide(found=246, false=100_000)
    assert verdict.status == "failed"
    assert "False-positive gate failed: 100.00 % > 5.00 % of 100,000 legitimate rows;" in verdict.reason


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
    """Recall has a margin of 0.1; the reason has both figures and the interval."""
    verdict = decide(compared((0, 0), (-0.2, -0.06)))
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Champion gate failed: worse than the champion in recall: 0.800 against 0.930 (-0.130, interval -0.200 to "
        "-0.060, a loss of 0.1 tolerated) on the same 1,000 rows with 50 frauds. No package registered."
    )


def test_passed_reason_states_missing_comparison() -> None:
    """A missing champion, and one whose inputs the data no longer have, about which a person decides."""
    assert decide().reason.endswith("There is no champion to compare with: no model serves yet.")
    impossible = Comparison(status="not possible", reason="These transactions lack V2.", cause="missing inputs")
    verdict = decide(impossible)
    assert verdict.status == "passed"
    assert verdict.reason.endswith(impossible.reason)


def test_too_few_common_frauds_keep_the_champion() -> None:
    """Enough frauds in the test window do not replace the comparison; a run that fits nothing need not show it."""
    reason = "Comparison with the champion is not possible: 3 frauds among the 900 test rows that it has not seen."
    few = Comparison(status="not possible", reason=reason, cause="few frauds", rows=900, positives=3)
    verdict = decide(few)
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Champion gate failed: the evidence cannot tell whether this model is worse than the champion. "
        f"{reason} Train on a window with later labelled frauds. No package registered."
    )
    assert gate.decide(GATE, figures(), 246, few, nothing_fitted=True).status == "passed"


@given(st.floats(0, 1), st.floats(0, 1))
def test_different_numbers_are_shown_differently(observed: float, limit: float) -> None:
    """0.5999 against 0.60 is not shown as 0.60 ≤ 0.60."""
    a, b = digits(observed, limit)
    assert (a == b) == (observed == limit)


def test_verdict_is_json_and_fits_a_fail_step() -> None:
    """SageMaker takes 1,024 characters of a Fail step's message; the longest verdict fits."""
    verdict = decide(compared((-0.9, -0.8), (-0.9, -0.8)), found=1, frauds=10, false=50_000)
    assert len(verdict.reason) <= 1024
    assert json.loads(json.dumps(verdict.to_dict()))["status"] == "failed"
    keys = {"name", "passed", "observed", "limit", "detail", "bound", "decided_by", "outcome"}
    assert all(set(check) == keys for check in verdict.to_dict()["checks"])


def bounded(found: int, frauds: int, false: int, legitimate: int) -> Verdict:
    """The verdict where the bound decides, with a false-positive limit of 1.5 %."""
    strict = dataclasses.replace(GATE, decides="bound", max_false_positive_rate=0.015)
    return gate.decide(strict, figures(found, frauds, false, legitimate), frauds, NO_CHAMPION)


def test_bound_decides_where_rows_can_tell() -> None:
    """Recall 0.65 on 100 frauds is above 0.60, and its interval is not; at 0.75 the interval is above too."""
    failed, passed = bounded(65, 100, 10, 2_000), bounded(75, 100, 10, 2_000)
    assert (failed.status, passed.status) == ("failed", "passed")
    assert failed.reason.startswith(
        "Recall gate failed: 0.65 > 0.60 on 100 frauds in the test window; its interval begins at 0.55, which decides."
    )
    check = passed.checks[0]
    assert (check.decided_by, check.observed) == ("bound", 0.75)
    assert check.bound == pytest.approx(0.657, abs=1e-3)


def test_false_positive_bound_decides_where_rows_can_tell() -> None:
    """25 of 2,000 are 1.25 %, and the interval ends above 1.5 %; 15 of 2,000 keep to it."""
    failed, passed = bounded(90, 100, 25, 2_000), bounded(90, 100, 15, 2_000)
    assert (failed.status, passed.status) == ("failed", "passed")
    assert "failed: 1.25 % ≤ 1.50 % of 2,000 legitimate rows; its interval ends at 1.84 %, which" in failed.reason


def test_rate_decides_where_rows_cannot_tell_and_says_so() -> None:
    """Six of 448 legitimate rows and 20 frauds: the rates decide, and the reason says how many rows are needed."""
    verdict = bounded(16, 20, 6, 448)
    assert verdict.status == "passed"
    assert "but 448 rows cannot tell, 1,718 are needed: the rate itself decides." in verdict.reason
    assert "but 20 rows cannot tell, 43 are needed: the rate itself decides." in verdict.reason
    assert [check.decided_by for check in verdict.checks[:2]] == ["point", "point"]
    assert bounded(16, 20, 7, 448).status == "failed"


def test_reason_counts_what_does_not_fit() -> None:
    """A model that is worse in every figure and many slices has a reason of 1,024 characters at most."""
    worse = Difference(challenger=0.1, champion=0.9, difference=-0.8, low=-0.9, high=-0.7)
    slices = tuple(Slice(name=f"amount {at}", rows=500, positives=50, recall=worse) for at in range(8))
    comparison = dataclasses.replace(compared((-0.9, -0.8), (-0.9, -0.8)), slices=slices)
    verdict = decide(comparison, found=1, frauds=10, false=50_000)
    assert len(verdict.reason) <= gate.MAX_REASON
    failed = sum(not check.passed for check in verdict.checks)
    shown = verdict.reason.count("failed:") + verdict.reason.count("Too little evidence")
    assert f"{failed - shown} more checks failed. {gate.NOTHING_REGISTERED}" in verdict.reason


def test_passed_reason_fits_an_approval_record_too() -> None:
    """A model that passes many checks has a reason of 1,024 characters; the first checks and the number are in it."""
    equal = Difference(challenger=0.9, champion=0.9, difference=0.0, low=-0.7, high=0.7)
    slices = tuple(Slice(name=f"amount {at}", rows=500, positives=50, recall=equal) for at in range(8))
    verdict = decide(dataclasses.replace(compared((-0.01, 0.01)), slices=slices))
    assert (verdict.status, len(verdict.checks)) == ("passed", 13)
    assert len(verdict.reason) <= gate.MAX_REASON
    assert verdict.reason.startswith("Recall 0.81 > 0.60 on 246 frauds")
    shown = sum(check.detail in verdict.reason for check in verdict.checks)
    assert verdict.reason.endswith(f" {13 - shown} more checks passed.")
