"""Detects concept drift from mature labels, and estimates the day of its onset.

The labels of the latest window are tested, and those of the latest three and six windows together: recall that falls
slowly shows in no single window. Confusion counts are compared with those of the approved model by their predictive
distribution, which accounts for small numbers of frauds. Fraud rates per amount band are tested too, because changed
labels of some transactions show there before they show in recall.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ml.model.drift.label_counts import LabelSummary, Outcomes
from ml.model.drift.settings import POOLED_WINDOWS, ConceptRules, Rules
from ml.model.drift.verdict import Finding
from ml.model.metrics import Confusion

_TERMS_PER_STEP = 16_384
_MIN_LOG_LIKELIHOOD_GAIN = 8.0  # of a later onset: odds of e^8 = 3,000 to 1, among up to 31 days


@dataclass(frozen=True, kw_only=True)
class LabelVerdict:
    """The result of the label tests. `evaluated` is false without enough mature labels; `reason` then states why."""

    evaluated: bool
    reason: str
    findings: tuple[Finding, ...]
    counts: Mapping[str, Any]
    onset: datetime | None


def predictive_tail(count: int, of: int, seen: int, seen_of: int, *, upper: bool) -> float:
    """The probability of `count` or fewer (`upper`: or more) of `of`, given `seen` of `seen_of` in the reference.

    The beta-binomial predictive distribution under Jeffreys' prior (Gelman et al., "Bayesian Data Analysis", 2.3):
    the uncertainty of the reference rate widens it.
    """
    if of == 0:
        return 1.0
    a, b = seen + 0.5, seen_of - seen + 0.5
    if not upper:  # the upper tail of the other outcome
        count, a, b = of - count, b, a
    if count <= 0:
        return 1.0
    if count * (a + b) < of * a:  # below the mean: sum the other tail, whose terms do not underflow in float64
        return 1.0 - predictive_tail(count - 1, of, seen if upper else seen_of - seen, seen_of, upper=False)
    constant = special.gammaln(of + 1) - special.betaln(a, b)
    total = 0.0
    for start in range(count, of + 1, _TERMS_PER_STEP):
        x = np.arange(start, min(start + _TERMS_PER_STEP, of + 1), dtype=np.float64)
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
    baseline: Mapping[str, Any],
    labels: LabelSummary | None,
    rules: Rules,
    *,
    as_of: datetime,
    earlier: Sequence[LabelSummary] = (),
) -> LabelVerdict:
    """Tests the mature labels of a window against the drift reference, alone and pooled with those of earlier windows.

    Args:
        baseline: the model's baseline.json.
        labels: of rows that this model scored; None if there are none.
        rules: the sections `labels` and `concept` are used.
        as_of: the time for the age of labels.
        earlier: the labels of the windows before, that this model scored too, the latest first.
    """
    every = labels.total() if labels is not None else None
    if labels is None or every is None or not every.rows:
        return LabelVerdict(
            evaluated=False,
            reason="there is no scored row with an id to join labels on",
            findings=(),
            counts={},
            onset=None,
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
        return LabelVerdict(evaluated=False, reason=reason, findings=(), counts=counts, onset=None)
    approved = Confusion(**baseline["confusion"])
    findings: list[Finding] = []
    pooled = {1: mature}
    for windows in POOLED_WINDOWS:
        if windows - 1 > len(earlier):
            continue
        before = (
            item.mature(as_of=as_of, min_coverage=limits.min_coverage, min_age_days=limits.min_age_days)
            for item in earlier[: windows - 1]
        )
        pooled[windows] = sum(before, mature)
        total = pooled[windows].total()
        findings += _rates(approved, total.confusion, rules, windows)
        findings += _bands(baseline["fraud_by_amount"], total, rules, windows)
    counts |= {
        "confusion": vars(counted.confusion),
        "band_edges": list(baseline["fraud_by_amount"]["edges"]),
        "band_rows": list(counted.band_rows),
        "band_frauds": list(counted.band_frauds),
    }
    return LabelVerdict(
        evaluated=True, reason="", findings=tuple(findings), counts=counts, onset=_onset(baseline, pooled, findings)
    )


def _rates(approved: Confusion, found: Confusion, rules: Rules, windows: int) -> list[Finding]:
    """Tests recall, precision and false-positive rate against the counts on the held-out rows."""
    limits: ConceptRules = rules.concept
    pairs = {
        "recall": ((found.true_positives, found.positives), (approved.true_positives, approved.positives)),
        "precision": ((found.true_positives, found.alerts), (approved.true_positives, approved.alerts)),
        "false_positive_rate": (
            (found.false_positives, found.negatives),
            (approved.false_positives, approved.negatives),
        ),
    }
    alpha = limits.alpha / (len(pairs) * len(POOLED_WINDOWS) * rules.looks)
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
        exceeds = value is not None and (value >= threshold if upper else value <= threshold)
        findings.append(
            Finding(
                kind="concept",
                statistic=name,
                subject=None,
                value=value,
                threshold=threshold,
                p_value=p_value,
                alpha=alpha,
                fired=exceeds and p_value < alpha,
                reference=reference,
                detail=f"{count:,} of {of:,}{_over(windows)}; approved on {seen:,} of {seen_of:,}",
                windows=windows,
            )
        )
    return findings


def _bands(reference: Mapping[str, Any], found: Outcomes, rules: Rules, windows: int) -> list[Finding]:
    """Tests the fraud rate of each amount band against all training and held-out rows."""
    limits = rules.concept
    alpha = limits.alpha_amount_band / (len(reference["rows"]) * len(POOLED_WINDOWS) * rules.looks)
    names = band_names(reference["edges"])
    findings = []
    rows = zip(names, found.band_frauds, found.band_rows, reference["frauds"], reference["rows"], strict=True)
    for name, count, of, seen, seen_of in rows:
        before = seen / seen_of if seen_of else 0.0
        value = count / of if of else None
        up = value is None or value >= before
        threshold = before * limits.min_band_ratio if up else before / limits.min_band_ratio
        exceeds = value is not None and (value >= threshold if up else value <= threshold)
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
                fired=exceeds and p_value < alpha,
                reference=before,
                detail=f"{count:,} frauds of {of:,} rows{_over(windows)}; reference {seen:,} of {seen_of:,}",
                windows=windows,
            )
        )
    return findings


def _over(windows: int) -> str:
    return f" in {windows} windows" if windows > 1 else ""


def band_names(edges: list[float]) -> list[str]:
    """The names of the amount bands between `edges`: `amount < 5.6`, …, `amount >= 1017.97`."""
    if not edges:
        return ["any amount"]
    middle = [f"{low:g} <= amount < {high:g}" for low, high in itertools.pairwise(edges)]
    return [f"amount < {edges[0]:g}", *middle, f"amount >= {edges[-1]:g}"]


def _onset(
    baseline: Mapping[str, Any], pooled: Mapping[int, LabelSummary], findings: Sequence[Finding]
) -> datetime | None:
    """The first day of the drift, from the finding with the smallest p-value; None if nothing fired.

    It is the first day of that finding's windows unless a later day is 3,000 times more likely: the change point of
    highest likelihood between the approved rate and another (Hinkley 1970, "Inference about the change-point in a
    sequence of random variables", Biometrika 57).
    """
    fired = [finding for finding in findings if finding.fired]
    if not fired:
        return None
    strongest = min(fired, key=lambda finding: finding.p_value or 0.0)
    mature = pooled[strongest.windows]
    days = sorted(mature.days)
    if strongest.statistic == "fraud_rate":
        band = band_names(baseline["fraud_by_amount"]["edges"]).index(strongest.subject or "")
        pairs = [(mature.days[day].band_frauds[band], mature.days[day].band_rows[band]) for day in days]
    else:
        pairs = [_hits_and_trials(mature.days[day].confusion, strongest.statistic) for day in days]
    table = np.array(pairs, dtype=np.float64)
    return _midnight(days[_change_index(table[:, 0], table[:, 1], strongest.reference or 0.0)])


def _hits_and_trials(confusion: Confusion, statistic: str) -> tuple[int, int]:
    if statistic == "recall":
        return confusion.true_positives, confusion.positives
    if statistic == "precision":
        return confusion.true_positives, confusion.alerts
    return confusion.false_positives, confusion.negatives


def _change_index(counts: NDArray[np.float64], rows: NDArray[np.float64], before: float) -> int:
    """The index of the first day of the new rate: 0 unless a later day gains `_MIN_LOG_LIKELIHOOD_GAIN`."""
    before = min(max(before, 1e-9), 1 - 1e-9)
    old = counts * math.log(before) + (rows - counts) * math.log1p(-before)
    after = np.cumsum(counts[::-1])[::-1], np.cumsum(rows[::-1])[::-1]
    rate = after[0] / np.maximum(after[1], 1)
    new = special.xlogy(after[0], rate) + special.xlog1py(after[1] - after[0], -rate)
    likelihood = np.concatenate([[0.0], np.cumsum(old)[:-1]]) + new
    best = int(np.argmax(likelihood))
    return best if likelihood[best] - likelihood[0] >= _MIN_LOG_LIKELIHOOD_GAIN else 0


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
