"""Combines the tests for data, prediction and concept drift of a window into a verdict.

Pure: drift reference, summaries and rules in, verdict out. A finding needs an effect size and a p-value, corrected for
all tests of the window and for repeated looks. Missing evidence is never reported as "none": too little traffic is "no
data", and missing labels are "labels immature".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from ml.model.drift import concept_drift, distribution_shift, performance_estimation
from ml.model.drift.histogram import Reference
from ml.model.drift.label_counts import LabelSummary
from ml.model.drift.retrain_decision import Decision, decide, decisions
from ml.model.drift.settings import Rules
from ml.model.drift.verdict import IMMATURE, KINDS, NO_DATA, NONE, DriftVerdict, Estimated, FeatureDrift, Finding
from ml.model.drift.window_counts import WindowSummary

__all__ = [
    "Decision",
    "DriftVerdict",
    "Estimated",
    "FeatureDrift",
    "Finding",
    "LabelSummary",
    "Reference",
    "Rules",
    "WindowSummary",
    "decide",
    "decisions",
    "evaluate",
]


def evaluate(
    baseline: Mapping[str, Any] | Reference,
    window: WindowSummary,
    labels: LabelSummary | None,
    rules: Rules,
    *,
    start: datetime,
    end: datetime,
    as_of: datetime | None = None,
    reference: str = "",
    earlier: Sequence[LabelSummary] = (),
) -> DriftVerdict:
    """The verdict on the traffic from `start` to `end` and on its mature labels.

    A window is evaluated at once, and again from the stored summaries when its labels are mature.

    Args:
        baseline: baseline.json of the model, or its `Reference`.
        window: the traffic on the bins of that reference; scores and decisions of that model only.
        labels: of the same rows; None if there are no labels or no row has an id.
        rules: model-config/monitoring/drift.yaml.
        start, end: the window, with time zones.
        as_of: the time for the age of labels; `end` if None.
        reference: the digest of the model; `decide` counts only windows of one model.
        earlier: the labels of the windows before, that this model scored too, the latest first.
    """
    known = Reference.of(baseline)
    traffic_findings = _traffic_findings(window, rules, start, end)
    enough = window.rows >= rules.min_rows
    findings: list[Finding] = [*traffic_findings]
    features: tuple[FeatureDrift, ...] = ()
    scores: FeatureDrift | None = None
    if enough:
        findings += _schema(known, window, rules)
        tallies = [window.columns[column.name] for column in known.columns]
        shifts, features = distribution_shift.inputs(distribution_shift.measure(known.columns, tallies), rules)
        findings += shifts
    if window.scores.n >= rules.min_rows:  # scores of this model, which may have served for some hours only
        moved = distribution_shift.measure([known.scores], [window.scores])
        shifts, scores = distribution_shift.scores(moved, window, known.document["alerts"], rules)
        findings += shifts
    labelled = concept_drift.evaluate(known.document, labels, rules, as_of=as_of or end, earlier=earlier)
    findings += labelled.findings
    fired = [kind for kind in KINDS if any(finding.kind == kind and finding.fired for finding in findings)]
    no_data = any(finding.fired for finding in traffic_findings)
    verdicts = ([NO_DATA] if no_data else []) + fired + ([] if labelled.evaluated else [IMMATURE])
    if not fired and not no_data:
        verdicts.insert(0, NONE)
    evaluated = [*(["concept"] if labelled.evaluated else []), *(["data"] if enough else [])]
    evaluated += ["prediction"] if scores is not None else []
    reasons = [finding.detail for finding in traffic_findings if finding.fired]
    reasons += [] if labelled.evaluated else [labelled.reason]
    return DriftVerdict(
        start=start,
        end=end,
        reference=reference,
        rows=window.rows,
        verdicts=tuple(verdicts),
        evaluated=tuple(evaluated),
        reasons=tuple(reasons),
        findings=tuple(findings),
        features=features,
        scores=scores,
        labels=labelled.counts or None,
        estimated=_estimated(known, window) if enough else None,
        concept_onset=labelled.onset,
    )


def _traffic_findings(window: WindowSummary, rules: Rules, start: datetime, end: datetime) -> list[Finding]:
    """Too few rows, or no traffic for too many hours; the latter only if rows have times."""
    findings = [
        Finding(
            kind=NO_DATA,
            statistic="rows",
            subject=None,
            value=float(window.rows),
            threshold=float(rules.min_rows),
            p_value=None,
            alpha=None,
            fired=window.rows < rules.min_rows,
            detail=f"{window.rows:,} rows, where {rules.min_rows:,} are needed",
        )
    ]
    if window.hours or not window.rows:
        first, last = int(start.timestamp() // 3600), -int(-end.timestamp() // 3600)
        busy = [hour for hour in sorted(window.hours) if first <= hour < last]
        quiet = np.diff([first - 1, *busy, last]) - 1
        longest = int(quiet.max())
        findings.append(
            Finding(
                kind=NO_DATA,
                statistic="hours_without_traffic",
                subject=None,
                value=float(longest),
                threshold=float(rules.no_traffic_hours),
                p_value=None,
                alpha=None,
                fired=longest > rules.no_traffic_hours,
                detail=f"{longest} consecutive hours without a row, where {rules.no_traffic_hours:g} are allowed",
            )
        )
    return findings


def _schema(known: Reference, window: WindowSummary, rules: Rules) -> list[Finding]:
    """Fields that are missing, unexpected, out of range or unseen: a faulty client, not drift."""
    limits = rules.schema
    words = "rows have a field that the model does not know"
    findings = [
        # The limit of missing values applies: a renamed field exceeds it, a single faulty request does not.
        _share("unexpected_field", name, (count, window.rows), limits.max_missing, words)
        for name, count in window.unexpected.items()
    ]
    for column in known.columns:
        tally = window.columns[column.name]
        findings.append(
            _share("missing", column.name, (tally.missing, window.rows), limits.max_missing, "rows lack it")
        )
        if column.levels is None:
            beyond = tally.below + tally.above
            low, high = column.summary.low, column.summary.high
            words = f"rows lie outside {low:g} to {high:g}"
            findings.append(_share("out_of_range", column.name, (beyond, tally.n), limits.max_out_of_range, words))
        if column.values is not None or column.levels is not None:
            words = "rows have a value that the reference does not list"
            findings.append(_share("unseen", column.name, (tally.unseen, tally.n), limits.max_unseen, words))
    return findings


def _share(statistic: str, name: str, counted: tuple[int, int], limit: float, words: str) -> Finding:
    count, of = counted
    value = count / of if of else 0.0
    return Finding(
        kind="schema",
        statistic=statistic,
        subject=name,
        value=value,
        threshold=limit,
        p_value=None,
        alpha=None,
        fired=value > limit,
        detail=f"{count:,} of {of:,} {words}",
    )


def _estimated(known: Reference, window: WindowSummary) -> Estimated | None:
    """The performance estimate; None if the reference, of an older model, has no calibration."""
    if known.risk is None:
        return None
    passed, alerted = window.risk
    return performance_estimation.expected(known.document["calibration"], passed, alerted)
