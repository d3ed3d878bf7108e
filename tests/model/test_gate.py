"""The one gate: each limit on its edge, and words that a person understands."""

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
    """What the gate reads of the metrics."""
    return {
        "recall": rate(found, frauds, "no frauds among the rows"),
        "false_positive_rate": rate(false, legitimate, "no legitimate rows"),
    }


def decide(comparison: Comparison = NO_CHAMPION, **counts: int) -> Verdict:
    """The verdict at the default gate: recall above 0.60, at most 5 % false positives, at least 15 frauds."""
    return gate.decide(GATE, figures(**counts), counts.get("frauds", 246), comparison)


def compared(precision: tuple[float, float], recall: tuple[float, float] = (0.0, 0.0)) -> Comparison:
    """A comparison in which the differences have these intervals."""

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


def test_a_failed_recall_reads_as_a_sentence() -> None:
    """What, by how much, on what evidence, and what follows."""
    verdict = decide(found=143)
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Recall gate failed: 0.58 ≤ 0.60 on 246 frauds in the test window. No package registered."
    )


def test_recall_must_be_more_than_the_limit() -> None:
    """Exactly 0.60 gate failures; one fraud more passes."""
    assert decide(found=60, frauds=100).status == "failed"
    assert decide(found=61, frauds=100).status == "passed"


def test_flagging_everything_does_not_pass() -> None:
    """Recall 1 at a false-positive rate of 1 is refused."""
    verdict = decide(found=246, false=100_000)
    assert verdict.status == "failed"
    assert "False-positive gate failed: 100.00 % > 5.00 % of 100,000 legitimate rows." in verdict.reason


def test_a_false_positive_rate_may_be_at_its_limit() -> None:
    """5 % passes, one row more does not."""
    assert decide(false=5_000).status == "passed"
    assert decide(false=5_001).status == "failed"


def test_a_handful_of_frauds_is_no_gate() -> None:
    """14 frauds are too few to judge, however good the recall."""
    verdict = decide(found=14, frauds=14)
    assert verdict.status == "failed"
    assert "Too little evidence to judge: 14 frauds in the test window, at least 15 needed." in verdict.reason
    assert decide(found=15, frauds=15).status == "passed"


def test_without_frauds_there_is_no_recall_and_no_model() -> None:
    """A recall that does not exist gate failures the gate and says why."""
    verdict = decide(found=0, frauds=0)
    assert verdict.status == "failed"
    assert "Recall gate failed: no frauds among the rows." in verdict.reason
    assert next(check for check in verdict.checks if check.name == "recall").observed is None


def test_every_limit_that_is_broken_is_named() -> None:
    """One reason, all failures, the consequence once."""
    reason = decide(found=1, frauds=10, false=50_000).reason
    assert reason.count("failed") == 2
    assert "Too little evidence" in reason
    assert reason.count(gate.NOTHING_REGISTERED) == 1


@pytest.mark.parametrize(
    ("high", "status"), [(-0.0201, "failed"), (-0.02, "passed"), (-0.01, "passed"), (0.05, "passed")]
)
def test_a_challenger_fails_only_beyond_chance_and_margin(high: float, status: str) -> None:
    """The upper end of the interval of the difference decides, against a margin of 0.02 in average precision."""
    assert decide(compared((-0.1, high))).status == status


def test_a_challenger_that_finds_fewer_frauds_fails_too() -> None:
    """Recall has a margin of its own, 0.05, and the sentence gives both figures and the interval."""
    verdict = decide(compared((0, 0), (-0.2, -0.06)))
    assert verdict.status == "failed"
    assert verdict.reason == (
        "Champion gate failed: worse than the champion in recall: 0.800 against 0.930 (-0.130, interval -0.200 to "
        "-0.060, a loss of 0.05 tolerated) on the same 1,000 rows with 50 frauds. No package registered."
    )


def test_a_pass_says_what_it_was_not_compared_with() -> None:
    """The first model has no champion; a comparison that is not possible is not a silent one."""
    assert decide().reason.endswith("There is no champion to compare with: no model serves yet.")
    impossible = Comparison(status="not possible", reason="Comparison with the champion is not possible: 3 frauds.")
    verdict = decide(impossible)
    assert verdict.status == "passed"
    assert verdict.reason.endswith(impossible.reason)


@given(st.floats(0, 1), st.floats(0, 1))
def test_two_numbers_that_differ_are_shown_as_different(observed: float, limit: float) -> None:
    """0.5999 against 0.60 is not shown as 0.60 ≤ 0.60."""
    a, b = gate._digits(observed, limit)
    assert (a == b) == (observed == limit)


def test_a_verdict_is_plain_json_and_short_enough_for_a_fail_step() -> None:
    """SageMaker takes 1,024 characters of a Fail step's message; the worst verdict fits."""
    verdict = decide(compared((-0.9, -0.8), (-0.9, -0.8)), found=1, frauds=10, false=50_000)
    assert len(verdict.reason) <= 1024
    assert json.loads(json.dumps(verdict.to_dict()))["status"] == "failed"
    assert all(set(check) == {"name", "passed", "observed", "limit", "detail"} for check in verdict.to_dict()["checks"])
