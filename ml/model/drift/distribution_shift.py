"""Tests whether inputs and scores have shifted from the drift reference, by significance and effect size.

All columns are tested at once: five statistics of thirty columns take less than a millisecond on counted rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.model.drift import category_counts
from ml.model.drift.concept_drift import predictive_tail
from ml.model.drift.divergence import Counts, Divergence, mean_shift
from ml.model.drift.histogram import Column, Tally
from ml.model.drift.settings import DataRules, PredictionRules, Rules
from ml.model.drift.verdict import FeatureDrift, Finding
from ml.model.drift.window_counts import WindowSummary

STATISTICS = ("ks", "psi", "js", "mean_shift", "chi_square")
_DESCRIPTIONS = {
    "ks": "Kolmogorov-Smirnov distance",
    "psi": "population stability index",
    "js": "Jensen-Shannon distance",
    "mean_shift": "shift of the mean, in standard deviations",
    "chi_square": "Cohen's effect size w",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shifts:
    """The statistics of some columns and their p-values by statistic, before any threshold."""

    features: tuple[FeatureDrift, ...]
    p_values: Mapping[str, NDArray[np.float64]]


def measure(columns: Sequence[Column], tallies: Sequence[Tally]) -> Shifts:
    """Computes every statistic of every column against its reference; a category has those that need no order."""
    width = max(len(tally.bins) for tally in tallies)
    reference, window = (np.zeros((len(columns), width)) for _ in range(2))
    moments = []
    for row, (column, tally) in enumerate(zip(columns, tallies, strict=True)):
        for counts_of, bins in ((reference, column.summary.counts), (window, tally.bins)):
            shown = bins if column.levels is None else category_counts.grouped(bins, column.groups)
            counts_of[row, : len(shown)] = shown
        moments.append(column.binner.moments(tally.n, tally.total, tally.squares))
    mean, std = np.array(moments).T
    counts = Counts(reference, window)
    summaries = [column.summary for column in columns]
    figures: dict[str, Divergence] = {
        "ks": counts.kolmogorov_smirnov(),
        "psi": counts.population_stability_index(),
        "js": counts.jensen_shannon(),
        "mean_shift": mean_shift(
            ([s.n for s in summaries], [s.mean for s in summaries], [s.std for s in summaries]), (counts.n_b, mean, std)
        ),
        "chi_square": counts.chi_square(),
    }
    for row, column in enumerate(columns):
        for name in category_counts.UNTESTED if column.levels is not None else ():
            figures[name].value[row], figures[name].p_value[row] = 0.0, 1.0
    features = tuple(
        FeatureDrift(
            name=column.name,
            **{name: float(figures[name].value[row]) for name in STATISTICS},
            mean=float(mean[row]),
            std=float(std[row]),
            missing=tally.missing / max(tally.n + tally.missing, 1),
            out_of_range=(tally.below + tally.above) / max(tally.n, 1),
            fired=False,
            unseen=None if column.levels is None else tally.unseen / max(tally.n, 1),
        )
        for row, (column, tally) in enumerate(zip(columns, tallies, strict=True))
    )
    return Shifts(features=features, p_values={name: figures[name].p_value for name in STATISTICS})


def inputs(shifts: Shifts, rules: Rules) -> tuple[list[Finding], tuple[FeatureDrift, ...]]:
    """The findings of data drift, and the inputs, marked if one of their findings fired."""
    limits: DataRules = rules.data
    floors = {name: float(getattr(limits, f"min_{name}")) for name in STATISTICS}
    tests = sum(len(_tested(feature, floors)) for feature in shifts.features)
    alpha = limits.alpha / (tests * rules.looks)
    return _fired("data", shifts, floors, alpha)


def scores(
    shifts: Shifts, window: WindowSummary, alerts: Mapping[str, Any], rules: Rules
) -> tuple[list[Finding], FeatureDrift]:
    """The findings of prediction drift: the distribution of scores, and the alert rate."""
    limits: PredictionRules = rules.prediction
    floors = {"ks": limits.min_ks, "psi": limits.min_psi, "js": limits.min_js}
    alpha = limits.alpha / ((len(floors) + 1) * rules.looks)
    findings, marked = _fired("prediction", shifts, floors, alpha)
    if window.decided and alerts["of"]:
        findings.append(_alert_rate((window.alerts, window.decided), (alerts["count"], alerts["of"]), limits, alpha))
    return findings, dataclasses.replace(marked[0], fired=any(finding.fired for finding in findings))


def _fired(
    kind: str, shifts: Shifts, floors: Mapping[str, float], alpha: float
) -> tuple[list[Finding], tuple[FeatureDrift, ...]]:
    findings = []
    for row, feature in enumerate(shifts.features):
        for name, floor in _tested(feature, floors).items():
            value, p_value = float(getattr(feature, name)), float(shifts.p_values[name][row])
            findings.append(
                Finding(
                    kind=kind,
                    statistic=name,
                    subject=feature.name,
                    value=value,
                    threshold=floor,
                    p_value=p_value,
                    alpha=alpha,
                    fired=abs(value) >= floor and p_value < alpha,
                    detail=f"{_DESCRIPTIONS[name]} {value:.3f}, limit {floor:g}",
                )
            )
    names = {finding.subject for finding in findings if finding.fired}
    return findings, tuple(dataclasses.replace(item, fired=item.name in names) for item in shifts.features)


def _tested(feature: FeatureDrift, floors: Mapping[str, float]) -> dict[str, float]:
    """The statistics that are tested of an input, with their limits."""
    left_out = category_counts.UNTESTED if feature.unseen is not None else frozenset()
    return {name: floor for name, floor in floors.items() if name not in left_out}


def _alert_rate(found: tuple[int, int], reference: tuple[int, int], limits: PredictionRules, alpha: float) -> Finding:
    """Tests the alert rate against the held-out rows by its predictive distribution, two-sided."""
    (count, of), (seen, seen_of) = found, reference
    before, value = seen / seen_of, count / of
    up = value >= before
    threshold = before * limits.min_alert_rate_ratio if up else before / limits.min_alert_rate_ratio
    p_value = min(1.0, 2 * predictive_tail(count, of, seen, seen_of, upper=up))
    return Finding(
        kind="prediction",
        statistic="alert_rate",
        subject=None,
        value=value,
        threshold=threshold,
        p_value=p_value,
        alpha=alpha,
        fired=(value >= threshold if up else value <= threshold) and p_value < alpha,
        reference=before,
        detail=f"{count:,} alerts of {of:,} rows; reference {seen:,} of {seen_of:,}",
    )
