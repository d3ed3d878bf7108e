"""Detects concept drift from mature labels, and estimates the day of its onset.

Hits and misses are compared with the approved model's own counts by their predictive distribution, so that forty frauds
are not taken for a thousand; frauds per amount band, because flipped labels of some transactions show there before, or
without, showing in recall.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.model.drift.label_counts import LabelSummary, Outcomes
from ml.model.drift.settings import ConceptRules, Rules
from ml.model.drift.verdict import Finding
from ml.model.metrics import Confusion

_AT_ONCE = 16_384
_CERTAIN = 8.0  # log-likelihood that a later onset must gain: e^8 = 3,000 to one, for up to 31 days to choose from


@dataclass(frozen=True, kw_only=True)
class LabelVerdict:
    """What labels say: findings, whether they could be judged, why not, what was counted, since which day."""

    judged: bool
    reason: str
    findings: tuple[Finding, ...]
    counts: Mapping[str, Any]
    onset: datetime | None


def predictive_tail(count: int, of: int, seen: int, seen_of: int, *, upper: bool) -> float:
    """The probability of `count` or fewer (`upper`: or more) of `of`, having seen `seen` of `seen_of`.

    The beta-binomial predictive distribution under Jeffreys' prior (Gelman et al., "Bayesian Data Analysis", 2.3):
    what is not known of the reference's own rate widens it.
    """
    if of == 0:
        return 1.0
    a, b = seen + 0.5, seen_of - seen + 0.5
    if not upper:  # the other outcome's upper tail
        count, a, b = of - count, b, a
    if count <= 0:
        return 1.0
    if count * (a + b) < of * a:  # below the mean: the tail that ends there has terms that do not vanish in float64
        return 1.0 - predictive_tail(count - 1, of, seen if upper else seen_of - seen, seen_of, upper=False)
    constant = special.gammaln(of + 1) - special.betaln(a, b)
    total = 0.0
    for start in range(count, of + 1, _AT_ONCE):
        x = np.arange(start, min(start + _AT_ONCE, of + 1), dtype=np.float64)
        terms = np.exp(
            constant - special.gammaln(x + 1) - special.gammaln(of - x + 1) + special.betaln(x + a, of - x + b)
        )
        total += float(terms.sum())
        if len(terms) > 1 and terms[-1] <= terms[-2] and terms[-1] * (of - x[-1]) <= total * 1e-12:
            break
    return min(total, 1.0)


def rates_apart(count: int, of: int, seen: int, seen_of: int) -> float:
    """The two-sided p-value of equal rates of rare events: given their sum, each is binomial by its share of rows.

    Exact for Poisson counts (Przyborowski and Wilenski 1940, "Homogeneity of results in testing samples from Poisson
    series", Biometrika 31), twice the smaller tail.
    """
    if not of or not seen_of:
        return 1.0
    total, share = count + seen, of / (of + seen_of)
    lower = special.bdtr(count, total, share)
    upper = special.bdtrc(count - 1, total, share) if count else 1.0
    return float(min(1.0, 2 * min(lower, upper)))


def evaluate(
    baseline: Mapping[str, Any], labels: LabelSummary | None, rules: Rules, *, as_of: datetime
) -> LabelVerdict:
    """What the mature labels of a window say against the model's baseline.

    Args:
        baseline: the model's baseline.json.
        labels: of rows that this model scored; None where no label has come.
        rules: of labels and concept.
        as_of: the time at which ages are counted.
    """
    every = labels.total() if labels is not None else None
    if labels is None or every is None or not every.rows:
        return LabelVerdict(
            judged=False, reason="no scored row has an id to join labels on", findings=(), counts={}, onset=None
        )
    limits = rules.labels
    mature = labels.mature(as_of=as_of, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
    counted = mature.total()
    counts: dict[str, Any] = {
        "days": len(labels.days),
        "mature_days": len(mature.days),
        "rows": every.rows,
        "labelled": every.labelled,
        "mature_rows": counted.rows,
    }
    share = counted.rows / every.rows
    if not counted.rows or share < limits.min_mature:
        reason = (
            f"{len(mature.days)} of {len(labels.days)} days have mature labels (coverage {limits.min_coverage:.0%}, "
            f"age {limits.min_age_days:g} days), {share:.1%} of the rows where {limits.min_mature:.0%} are needed; "
            f"{every.coverage:.1%} of all rows have a label"
        )
        return LabelVerdict(judged=False, reason=reason, findings=(), counts=counts, onset=None)
    approved = Confusion(**baseline["confusion"])
    findings = (
        *_rates(approved, counted.confusion, rules),
        *_bands(baseline["fraud_by_amount"], counted, rules),
    )
    counts |= {
        "confusion": vars(counted.confusion),
        "band_edges": list(baseline["fraud_by_amount"]["edges"]),
        "band_rows": list(counted.band_rows),
        "band_frauds": list(counted.band_frauds),
    }
    return LabelVerdict(
        judged=True, reason="", findings=findings, counts=counts, onset=_onset(baseline, mature, findings)
    )


def _rates(approved: Confusion, found: Confusion, rules: Rules) -> list[Finding]:
    """Recall, precision and false-positive rate against the counts on the rows that the model did not learn from."""
    limits: ConceptRules = rules.concept
    pairs = {
        "recall": ((found.true_positives, found.positives), (approved.true_positives, approved.positives)),
        "precision": ((found.true_positives, found.alerts), (approved.true_positives, approved.alerts)),
        "false_positive_rate": (
            (found.false_positives, found.negatives),
            (approved.false_positives, approved.negatives),
        ),
    }
    alpha = limits.alpha / (len(pairs) * rules.looks)
    findings = []
    for name, ((count, of), (seen, seen_of)) in pairs.items():
        reference = seen / seen_of if seen_of else 0.0
        upper = name == "false_positive_rate"
        if upper:
            threshold = reference * limits.min_fpr_ratio
        else:
            threshold = reference - (limits.min_recall_drop if name == "recall" else limits.min_precision_drop)
        value = count / of if of else None
        p_value = predictive_tail(count, of, seen, seen_of, upper=upper) if seen_of else 1.0
        far = value is not None and (value >= threshold if upper else value <= threshold)
        findings.append(
            Finding(
                kind="concept",
                statistic=name,
                subject=None,
                value=value,
                threshold=threshold,
                p_value=p_value,
                alpha=alpha,
                fired=far and p_value < alpha,
                reference=reference,
                detail=f"{count:,} of {of:,}; approved on {seen:,} of {seen_of:,}",
            )
        )
    return findings


def _bands(reference: Mapping[str, Any], found: Outcomes, rules: Rules) -> list[Finding]:
    """The fraud rate of each amount band against the rows that the model was made from and tested on."""
    limits = rules.concept
    alpha = limits.alpha_amount_band / (len(reference["rows"]) * rules.looks)
    names = band_names(reference["edges"])
    findings = []
    rows = zip(names, found.band_frauds, found.band_rows, reference["frauds"], reference["rows"], strict=True)
    for name, count, of, seen, seen_of in rows:
        before = seen / seen_of if seen_of else 0.0
        value = count / of if of else None
        up = value is None or value >= before
        threshold = before * limits.min_band_ratio if up else before / limits.min_band_ratio
        far = value is not None and (value >= threshold if up else value <= threshold)
        p_value = rates_apart(count, of, seen, seen_of)
        findings.append(
            Finding(
                kind="concept",
                statistic="fraud_rate",
                subject=name,
                value=value,
                threshold=threshold,
                p_value=p_value,
                alpha=alpha,
                fired=far and p_value < alpha,
                reference=before,
                detail=f"{count:,} frauds of {of:,} rows; reference {seen:,} of {seen_of:,}",
            )
        )
    return findings


def band_names(edges: list[float]) -> list[str]:
    """What the amount bands between `edges` are called: `amount < 5.6`, …, `amount >= 1017.97`."""
    if not edges:
        return ["any amount"]
    middle = [f"{low:g} <= amount < {high:g}" for low, high in itertools.pairwise(edges)]
    return [f"amount < {edges[0]:g}", *middle, f"amount >= {edges[-1]:g}"]


def _onset(baseline: Mapping[str, Any], mature: LabelSummary, findings: tuple[Finding, ...]) -> datetime | None:
    """The day from which the finding with the smallest p-value holds; None where nothing fired.

    It is the window's first day unless a later one is 3,000 times likelier: the change point of highest likelihood
    between the approved rate and another (Hinkley 1970, "Inference about the change-point in a sequence of random
    variables", Biometrika 57).
    """
    fired = [finding for finding in findings if finding.fired]
    days = sorted(mature.days)
    if not fired:
        return None
    strongest = min(fired, key=lambda finding: finding.p_value or 0.0)
    if strongest.statistic == "fraud_rate":
        band = band_names(baseline["fraud_by_amount"]["edges"]).index(strongest.subject or "")
        pairs = [(mature.days[day].band_frauds[band], mature.days[day].band_rows[band]) for day in days]
    else:
        pairs = [_of_day(mature.days[day].confusion, strongest.statistic) for day in days]
    table = np.array(pairs, dtype=np.float64)
    return _midnight(days[_change(table[:, 0], table[:, 1], strongest.reference or 0.0)])


def _of_day(confusion: Confusion, statistic: str) -> tuple[int, int]:
    if statistic == "recall":
        return confusion.true_positives, confusion.positives
    if statistic == "precision":
        return confusion.true_positives, confusion.alerts
    return confusion.false_positives, confusion.negatives


def _change(counts: NDArray[np.float64], rows: NDArray[np.float64], before: float) -> int:
    """The index of the first day of the new rate: 0 unless a later one is likelier by `_CERTAIN`."""
    before = min(max(before, 1e-9), 1 - 1e-9)
    old = counts * math.log(before) + (rows - counts) * math.log1p(-before)
    after = np.cumsum(counts[::-1])[::-1], np.cumsum(rows[::-1])[::-1]
    rate = after[0] / np.maximum(after[1], 1)
    new = special.xlogy(after[0], rate) + special.xlog1py(after[1] - after[0], -rate)
    likelihood = np.concatenate([[0.0], np.cumsum(old)[:-1]]) + new
    best = int(np.argmax(likelihood))
    return best if likelihood[best] - likelihood[0] >= _CERTAIN else 0


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
