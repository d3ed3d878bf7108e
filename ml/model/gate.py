"""The gate: decides whether a trained model may be registered.

The Evaluate step calls `decide` once. The pipeline's condition, the approval and the evidence read that verdict and
never recompute it. Reasons are written for readers who did not train the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml.model.champion_comparison import Comparison, Difference
from ml.model.metrics import Estimate
from ml.model.training_settings import Gate

NOTHING_REGISTERED = "No package registered."


@dataclass(frozen=True, kw_only=True)
class Check:
    """One condition of the gate: the observed value, the limit, and a sentence with both."""

    name: str
    passed: bool
    observed: float | None
    limit: float
    detail: str


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
) -> Verdict:
    """The verdict on a model.

    Args:
        gate: the limits. Recall must be more than `min_recall`; a false-positive rate or a count of frauds may be
            exactly at its limit.
        metrics: of the test rows, as metrics.measure gives them.
        positives: frauds among the test rows.
        comparison: with the champion. A challenger fails only if the upper end of the interval of challenger minus
            champion is below minus the margin: it is worse by more than chance and the margin explain.
        further: the checks that only this kind of run needs.
    """
    checks = [
        _recall(gate, metrics["recall"], positives),
        _false_positive_rate(gate, metrics["false_positive_rate"]),
        _positives(gate, positives),
    ]
    rule = gate.challenger
    if comparison.average_precision is not None and comparison.recall is not None:
        checks += [
            _not_worse("average precision", comparison.average_precision, rule.max_average_precision_loss, comparison),
            _not_worse("recall", comparison.recall, rule.max_recall_loss, comparison),
        ]
    checks += further
    failed = [check.detail for check in checks if not check.passed]
    if failed:
        return Verdict(status="failed", reason=" ".join([*failed, NOTHING_REGISTERED]), checks=tuple(checks))
    details = [check.detail for check in checks]
    if comparison.status != "compared":
        details.append(comparison.reason)
    return Verdict(status="passed", reason=" ".join(details), checks=tuple(checks))


def _recall(gate: Gate, recall: Estimate, positives: int) -> Check:
    passed = recall.value is not None and recall.value > gate.min_recall
    if recall.value is None:
        detail = f"Recall gate failed: {recall.reason}."
    else:
        observed, limit = _digits(recall.value, gate.min_recall)
        evidence = f"{observed} {'>' if passed else '≤'} {limit} on {_count(positives, 'fraud')} in the test window."
        detail = f"Recall {evidence}" if passed else f"Recall gate failed: {evidence}"
    return Check(name="recall", passed=passed, observed=recall.value, limit=gate.min_recall, detail=detail)


def _false_positive_rate(gate: Gate, figure: Estimate) -> Check:
    passed = figure.value is not None and figure.value <= gate.max_false_positive_rate
    if figure.value is None:
        detail = f"False-positive gate failed: {figure.reason}."
    else:
        observed, limit = _digits(100 * figure.value, 100 * gate.max_false_positive_rate)
        evidence = f"{observed} % {'≤' if passed else '>'} {limit} % of {_count(figure.of or 0, 'legitimate row')}."
        detail = f"False-positive rate {evidence}" if passed else f"False-positive gate failed: {evidence}"
    return Check(
        name="false_positive_rate",
        passed=passed,
        observed=figure.value,
        limit=gate.max_false_positive_rate,
        detail=detail,
    )


def _positives(gate: Gate, positives: int) -> Check:
    passed = positives >= gate.min_positives
    needed = f"{_count(positives, 'fraud')} in the test window, at least {gate.min_positives} needed."
    detail = f"Enough evidence: {needed}" if passed else f"Too little evidence for a verdict: {needed}"
    return Check(
        name="positives", passed=passed, observed=float(positives), limit=float(gate.min_positives), detail=detail
    )


def _not_worse(figure: str, difference: Difference, margin: float, comparison: Comparison) -> Check:
    passed = difference.high >= -margin
    evidence = (
        f"{difference.challenger:.3f} against {difference.champion:.3f} ({difference.difference:+.3f}, interval "
        f"{difference.low:+.3f} to {difference.high:+.3f}, a loss of {margin:g} tolerated) on the same "
        f"{_count(comparison.rows, 'row')} with {_count(comparison.positives, 'fraud')}."
    )
    verdict = "Not worse than the champion" if passed else "Champion gate failed: worse than the champion"
    return Check(
        name=f"champion_{figure.replace(' ', '_')}",
        passed=passed,
        observed=difference.high,
        limit=-margin,
        detail=f"{verdict} in {figure}: {evidence}",
    )


def _digits(observed: float, limit: float) -> tuple[str, str]:
    """Both with the limit's decimals, at least two, or with as many as are needed for different texts."""
    written = len(f"{limit:.12g}".partition(".")[2])
    for decimals in range(max(2, written), 17):
        texts = f"{observed:.{decimals}f}", f"{limit:.{decimals}f}"
        if observed == limit or texts[0] != texts[1]:
            return texts
    return repr(observed), repr(limit)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
