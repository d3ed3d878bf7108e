"""The gate: decides whether a trained model may be registered.

The Evaluate step calls `decide` once. The pipeline's condition, the approval and the evidence read that verdict and
never recompute it. Reasons are written for readers who did not train the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml.model import champion_checks, paired_difference
from ml.model.champion_comparison import Comparison
from ml.model.gate_check import Check, count, digits
from ml.model.metrics import CONFIDENCE, Estimate
from ml.model.training_settings import Gate

NOTHING_REGISTERED = "No package registered."
MAX_REASON = 1024  # characters that SageMaker shows of a Fail step's message, and that an approval record takes


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`passed` or `failed`, the reason in sentences, and every check."""

    status: Literal["passed", "failed"]
    reason: str
    checks: tuple[Check, ...]

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        return {"status": self.status, "reason": self.reason, "checks": [asdict(check) for check in self.checks]}


def decide(
    gate: Gate,
    metrics: Mapping[str, Estimate],
    positives: int,
    comparison: Comparison,
    further: Sequence[Check] = (),
    *,
    nothing_fitted: bool = False,
    question: str | None = None,
) -> Verdict:
    """The verdict on a model.

    Args:
        gate: the limits. Recall must be more than `min_recall`; a false-positive rate or a count of frauds may be
            exactly at its limit.
        metrics: of the test rows, as metrics.measure gives them.
        positives: frauds among the test rows.
        comparison: with the champion; champion_checks.py has the rules.
        further: the checks that only this kind of run needs.
        nothing_fitted: whether the run fits no coefficient. Such a model need not show that it is not worse, because
            `further` limits what the threshold changes.
        question: what a person must decide, for the reason of a failure: the next run would fail as well.
    """
    checks = [
        _recall(gate, metrics["recall"], positives),
        _false_positive_rate(gate, metrics["false_positive_rate"]),
        _positives(gate, positives),
        *champion_checks.checks(gate.challenger, comparison, must_show=not nothing_fitted),
        *further,
    ]
    failed = [check.detail for check in checks if not check.passed]
    if failed:
        reason = _shortened(failed, "failed", " ".join(filter(None, [question, NOTHING_REGISTERED])))
        return Verdict(status="failed", reason=reason, checks=tuple(checks))
    uncompared = comparison.reason if comparison.status != "compared" else ""
    reason = _shortened([check.detail for check in checks], "passed", uncompared)
    return Verdict(status="passed", reason=reason, checks=tuple(checks))


def recall_suffices(gate: Gate, recall: Estimate) -> bool:
    """Whether the gate passes a model with this recall on its test rows, if nothing else fails."""
    return _recall(gate, recall, recall.of or 0).passed


def _recall(gate: Gate, recall: Estimate, positives: int) -> Check:
    limit, decided_by = gate.min_recall, _decided_by(gate, gate.min_recall, (1 + gate.min_recall) / 2, positives)
    if recall.value is None or recall.low is None:
        passed, detail = False, f"Recall gate failed: {recall.reason}."
    else:
        figure = recall.low if decided_by.bound else recall.value
        passed = figure > limit
        observed, written = digits(recall.value, limit)
        sign = ">" if recall.value > limit else "≤"
        evidence = f"{observed} {sign} {written} on {count(positives, 'fraud')} in the test window"
        low, _ = digits(recall.low, limit)
        detail = (
            f"{'Recall' if passed else 'Recall gate failed:'} {evidence}; its interval begins at {low}, {decided_by}."
        )
    return Check(
        name="recall",
        passed=passed,
        observed=recall.value,
        limit=limit,
        detail=detail,
        bound=recall.low,
        decided_by=decided_by.name,
    )


def _false_positive_rate(gate: Gate, figure: Estimate) -> Check:
    limit = gate.max_false_positive_rate
    decided_by = _decided_by(gate, limit, limit / 2, figure.of or 0)
    if figure.value is None or figure.high is None:
        passed, detail = False, f"False-positive gate failed: {figure.reason}."
    else:
        passed = (figure.high if decided_by.bound else figure.value) <= limit
        observed, written = digits(100 * figure.value, 100 * limit)
        sign = "≤" if figure.value <= limit else ">"
        evidence = f"{observed} % {sign} {written} % of {count(figure.of or 0, 'legitimate row')}"
        high, _ = digits(100 * figure.high, 100 * limit)
        opening = "False-positive rate" if passed else "False-positive gate failed:"
        detail = f"{opening} {evidence}; its interval ends at {high} %, {decided_by}."
    return Check(
        name="false_positive_rate",
        passed=passed,
        observed=figure.value,
        limit=limit,
        detail=detail,
        bound=figure.high,
        decided_by=decided_by.name,
    )


@dataclass(frozen=True)
class _DecidedBy:
    """Which of a rate and its bound decides, and why."""

    bound: bool
    words: str

    @property
    def name(self) -> Literal["point", "bound"]:
        return "bound" if self.bound else "point"

    def __str__(self) -> str:
        return self.words


def _decided_by(gate: Gate, limit: float, typical: float, rows: int) -> _DecidedBy:
    """The bound decides if gate.yaml says so and a model with the rate `typical` would keep to it in 80 % of trials."""
    if gate.decides == "point":
        return _DecidedBy(False, "and the rate itself decides")
    needed = paired_difference.rows_to_tell(limit, typical, confidence=CONFIDENCE)
    if needed is not None and rows >= needed:
        return _DecidedBy(True, "which decides")
    more = f", {needed:,} are needed" if needed is not None else ""
    return _DecidedBy(False, f"but {rows:,} rows cannot tell{more}: the rate itself decides")


def _positives(gate: Gate, positives: int) -> Check:
    passed = positives >= gate.min_positives
    needed = f"{count(positives, 'fraud')} in the test window, at least {gate.min_positives} needed."
    detail = f"Enough evidence: {needed}" if passed else f"Too little evidence for a verdict: {needed}"
    return Check(
        name="positives", passed=passed, observed=float(positives), limit=float(gate.min_positives), detail=detail
    )


def _shortened(details: Sequence[str], outcome: str, ending: str) -> str:
    """The sentences `details`, then `ending`; of those that do not fit in MAX_REASON characters only the number."""
    for kept in range(len(details), 0, -1):
        more = [f"{len(details) - kept} more checks {outcome}."] if kept < len(details) else []
        text = " ".join(filter(None, [*details[:kept], *more, ending]))
        if len(text) <= MAX_REASON:
            return text
    return " ".join(filter(None, [f"{len(details)} checks {outcome}.", ending]))
