"""Judges a window of traffic: combines the tests for data, prediction and concept drift into a verdict.

Pure: a baseline, summaries and rules in, a judgement out. A finding needs a size and a p-value that is corrected for
every test of the window and for looking again and again. What was not seen is not called unchanged: too little traffic
is "no data", labels that have not come are "labels immature", and only traffic that was judged can be "none".
"""

from __future__ import annotations

from collections.abc import Mapping
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
) -> DriftVerdict:
    """The verdict on the traffic from `start` to `end`, and on its labels as far as they are mature.

    A window is judged at once, and again when its labels have come: the summaries are all it takes.

    Args:
        baseline: the serving model's baseline.json.
        window: of the traffic, made on that baseline; scores and decisions of that model only.
        labels: of the same rows; None where none has come or no row has an id.
        rules: model-config/monitoring/drift.yaml.
        start, end: the window, with time zones.
        as_of: when labels' ages are counted; `end` where None.
        reference: a name of the model, its artifact digest; `decide` counts windows of one model.
    """
    known = Reference.of(baseline)
    absence = _absence(window, rules, start, end)
    enough = window.rows >= rules.min_rows
    findings: list[Finding] = [*absence]
    features: tuple[FeatureDrift, ...] = ()
    scores: FeatureDrift | None = None
    if enough:
        findings += _schema(known, window, rules)
        tallies = [window.columns[column.name] for column in known.columns]
        made, features = distribution_shift.inputs(distribution_shift.measure(known.columns, tallies), rules)
        findings += made
    if window.scores.n >= rules.min_rows:  # those of this model: it may have served for some hours of the window
        moved = distribution_shift.measure([known.scores], [window.scores])
        made, scores = distribution_shift.scores(moved, window, known.document["alerts"], rules)
        findings += made
    labelled = concept_drift.evaluate(known.document, labels, rules, as_of=as_of or end)
    findings += labelled.findings
    fired = [kind for kind in KINDS if any(finding.kind == kind and finding.fired for finding in findings)]
    lacking = any(finding.fired for finding in absence)
    verdicts = ([NO_DATA] if lacking else []) + fired + ([] if labelled.judged else [IMMATURE])
    if not fired and not lacking:
        verdicts.insert(0, NONE)
    judged = [*(["concept"] if labelled.judged else []), *(["data"] if enough else [])]
    judged += ["prediction"] if scores is not None else []
    reasons = [finding.detail for finding in absence if finding.fired]
    reasons += [] if labelled.judged else [labelled.reason]
    return DriftVerdict(
        start=start,
        end=end,
        reference=reference,
        rows=window.rows,
        verdicts=tuple(verdicts),
        judged=tuple(judged),
        reasons=tuple(reasons),
        findings=tuple(findings),
        features=features,
        scores=scores,
        labels=labelled.counts or None,
        estimated=_estimated(known, window) if enough else None,
        concept_onset=labelled.onset,
    )


def _absence(window: WindowSummary, rules: Rules, start: datetime, end: datetime) -> list[Finding]:
    """Whether there is too little traffic, or none for too long; the second only where rows came with times."""
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
            detail=f"{window.rows:,} rows, where {rules.min_rows:,} are needed to judge",
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
                detail=f"{longest} hours on end without a row, where {rules.no_traffic_hours:g} are allowed",
            )
        )
    return findings


def _schema(known: Reference, window: WindowSummary, rules: Rules) -> list[Finding]:
    """Fields that are missing, new, out of range or out of a short list of values: a broken sender, not a new world."""
    limits = rules.schema
    words = "rows have a field that the model does not know"
    findings = [
        # As many as may lack one that it knows: a renamed field is both, and a client's single mistake is neither.
        _share("unexpected_field", name, (count, window.rows), limits.max_missing, words)
        for name, count in window.unexpected.items()
    ]
    for column in known.columns:
        tally = window.columns[column.name]
        findings.append(
            _share("missing", column.name, (tally.missing, window.rows), limits.max_missing, "rows lack it")
        )
        beyond = tally.below + tally.above
        low, high = column.summary.low, column.summary.high
        words = f"rows lie outside {low:g} to {high:g}"
        findings.append(_share("out_of_range", column.name, (beyond, tally.n), limits.max_out_of_range, words))
        if column.values is not None:
            words = "rows have a value that the reference never had"
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
    """Recall before labels; None where the baseline has no calibration, as those of older models."""
    if known.risk is None:
        return None
    passed, alerted = window.risk
    return performance_estimation.expected(known.document["calibration"], passed, alerted)
