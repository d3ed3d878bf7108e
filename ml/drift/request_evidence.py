"""Builds the evidence of a retrain request: figures, limits, windows and where they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

from ml.clock import stamp
from ml.drift.concept_alarm import ConceptAlarm
from ml.drift.drift_case import DriftCase
from ml.drift.run_kind_policy import RunChoice
from ml.drift.threshold_use import ThresholdUse
from ml.drift.window_monitor import Check
from ml.model.drift import detector
from ml.model.drift.ended_concept_test import EndEvidence
from ml.model.drift.ranking import RankingVerdict
from ml.model.drift.sequential_fraud_rate_test import PASSED
from ml.model.drift.verdict import CONCEPT
from ml.model.run_kinds import ADAPT, DROP, RunKind
from ml.report import drift_words

_MAX_FINDINGS = 12
"""Findings in a request; the check that it names has all of them."""
_DIGITS = 6
_RUNS: dict[RunKind, str] = {
    "fit": "refit",
    "adapt": "adaptation",
    "drop": "model without the part for this pattern",
    "threshold": "new threshold",
}


def build_case(
    decision: detector.Decision,
    past: Sequence[Check],
    also: Sequence[str],
    run: RunChoice,
) -> DriftCase:
    """The case of a decision. Its findings are those of the latest window in which this kind of drift fired.

    Args:
        past: the checks that the decision is based on.
        also: the other kinds of drift that are due.
        run: the kind of training run, and the tests that it follows from.
    """
    kind = str(decision.kind)
    by_window = {each.window: each for each in past}
    latest = by_window[decision.fired[-1]]
    findings = strongest(latest.verdict, kind)
    evidence = {
        "kind": kind,
        "model": {"approval": latest.approval, "artifact_sha256": latest.verdict.reference},
        "onset": decision.onset,
        "windows": [
            {
                "start": window[0],
                "end": window[1],
                "fired": window in decision.fired,
                "approval": by_window[window].approval,
                "verdicts": list(by_window[window].verdict.verdicts),
                "rows": by_window[window].verdict.rows,
            }
            for window in sorted({*decision.considered, *decision.fired})
        ],
        "findings": [finding_values(finding) for finding in findings[:_MAX_FINDINGS]],
        "findings_in_all": len(findings),
        "top_features": [feature_values(feature) for feature in latest.verdict.top_features],
        **({"ranking": ranking_values(run.ranking)} if run.ranking is not None else {}),
        **({"threshold": threshold_values(run.threshold)} if run.threshold is not None else {}),
        **({"also_due": list(also)} if also else {}),
        "check": check_uri(latest),
        "report": latest.document["report"],
    }
    reason = _reason(decision, latest)
    tests = [each.reason for each in (run.ranking, run.threshold) if each is not None]
    if tests and not run.unneeded:
        reason += f". Asks for a {_RUNS[run.kind]}: {'; '.join(tests)}"
    return DriftCase(decision=decision, run_kind=run.kind, reason=reason, evidence=evidence, unneeded=run.unneeded)


def build_alarm_case(alarm: ConceptAlarm, latest: Check, also: Sequence[str]) -> DriftCase:
    """The case of an alarm of the daily concept test.

    Args:
        latest: the check of the latest window, whose report shows the traffic.
        also: the other kinds of drift that are due.
    """
    evidence, onset = alarm.evidence, alarm.onset
    assert onset is not None  # noqa: S101 - the caller passes an alarm that fired
    finding = {
        "statistic": "daily_fraud_rate",
        "of": evidence.stratum,
        "value": rounded(evidence.rate),
        "threshold": rounded(evidence.reference),
        "reference": rounded(evidence.reference),
        "p_value": rounded(evidence.p_value),
        "alpha": rounded(evidence.alpha),
        "detail": alarm_detail(alarm),
    }
    reason = f"Concept drift since {onset.date()}, found by the daily test before labels are mature: "
    return _daily_case(alarm, latest, also, onset=onset, finding=finding, reason=f"{reason}{alarm_detail(alarm)}")


def build_end_case(alarm: ConceptAlarm, latest: Check, also: Sequence[str]) -> DriftCase:
    """The case of a new pattern whose frauds have stopped.

    It asks for a run that drops the part for that pattern and chooses the threshold without it. Such a run fits
    nothing: it needs rows since the end to be tested on, and none to fit on.

    Args:
        latest, also: as for `build_alarm_case`.
    """
    found = alarm.ended
    assert found is not None and found.ended is not None  # noqa: S101 - the caller passes a test that fired
    finding = {
        "statistic": "daily_new_pattern_frauds",
        "of": None,
        "value": rounded(1 - found.legitimate / found.alerts),
        "threshold": None,
        "reference": None,
        "p_value": rounded(found.p_value),
        "alpha": rounded(found.alpha),
        "detail": end_detail(found),
    }
    onset = datetime.combine(found.ended, time(), UTC)
    reason = f"{end_detail(found)}. Asks for a {_RUNS[DROP]}"
    return _daily_case(alarm, latest, also, onset=onset, finding=finding, reason=reason, run_kind=DROP)


def _daily_case(
    alarm: ConceptAlarm,
    latest: Check,
    also: Sequence[str],
    *,
    onset: datetime,
    finding: Mapping[str, Any],
    reason: str,
    run_kind: RunKind = ADAPT,
) -> DriftCase:
    """The case of a result of the daily concept test, with its one finding."""
    window = (onset, alarm.end)
    values = {
        "kind": CONCEPT,
        "model": {"approval": alarm.approval, "artifact_sha256": alarm.artifact_sha256},
        "onset": onset,
        "windows": [{"start": onset, "end": alarm.end, "fired": True, "approval": alarm.approval}],
        "findings": [dict(finding)],
        "findings_in_all": 1,
        **({"also_due": list(also)} if also else {}),
        "counts": alarm.counts,
        "check": check_uri(latest),
        "report": latest.document["report"],
    }
    decision = detector.Decision(kind=CONCEPT, onset=onset, fired=(window,), considered=(window,))
    return DriftCase(decision=decision, run_kind=run_kind, reason=reason, evidence=values)


def end_detail(found: EndEvidence) -> str:
    """What the test for the end of the new pattern found, as a sentence without a full stop."""
    return (
        f"The frauds of the new pattern have stopped since {found.ended}: {found.legitimate:,} of its {found.alerts:,} "
        f"alerts are known to be legitimate ({drift_words.p_equals(found.p_value)}, limit {found.alpha:g})"
    )


def alarm_detail(alarm: ConceptAlarm) -> str:
    """What the daily concept test found, as a short phrase."""
    evidence = alarm.evidence
    p_value = drift_words.p_equals(evidence.p_value)
    rows = "rows without an alert" if evidence.stratum == PASSED else f"rows in {evidence.stratum}"
    return (
        f"{evidence.frauds:,} known frauds of {evidence.rows:,} {rows}, {evidence.rate:.3g} where "
        f"the reference has {evidence.reference:.3g} ({p_value}, limit {evidence.alpha:g})"
    )


def strongest(verdict: detector.DriftVerdict, kind: str) -> list[detector.Finding]:
    """The findings of a kind that fired, by their ratio to the threshold, the largest first."""
    fired = verdict.fired(kind)

    def exceedance(finding: detector.Finding) -> float:
        value, limit = abs(finding.value or 0.0), abs(finding.threshold)
        if not value or not limit:
            return float("inf")
        return max(value / limit, limit / value)

    return sorted(fired, key=lambda finding: (-exceedance(finding), finding.p_value or 0.0, finding.statistic))


def finding_values(finding: detector.Finding) -> dict[str, Any]:
    """A finding as plain values, for YAML."""
    return {
        "statistic": finding.statistic,
        "of": finding.subject,
        "value": rounded(finding.value),
        "threshold": rounded(finding.threshold),
        "reference": rounded(finding.reference),
        "p_value": rounded(finding.p_value),
        "alpha": rounded(finding.alpha),
        "detail": finding.detail,
        **({"windows": finding.windows} if finding.windows > 1 else {}),
    }


def feature_values(feature: detector.FeatureDrift) -> dict[str, Any]:
    """The drift statistics of an input as plain values, for YAML."""
    names = ("ks", "psi", "js", "mean_shift") if feature.unseen is None else ("psi", "js", "chi_square", "unseen")
    return {"name": feature.name} | {name: rounded(getattr(feature, name)) for name in names}


def ranking_values(verdict: RankingVerdict) -> dict[str, Any]:
    """The test of the ranking as plain values, for YAML."""
    document = verdict.to_dict()
    figures = ("window", "reference", "difference", "low", "high")
    return document | {name: rounded(document[name]) for name in figures}


def threshold_values(use: ThresholdUse) -> dict[str, Any]:
    """The test of the serving threshold as plain values, for YAML."""
    document = use.to_dict()
    return document | {name: rounded(document[name]) for name in ("limit", "value", "low", "high")}


def rounded(value: float | None) -> float | None:
    """`value` with six significant digits."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def check_uri(check: Check) -> str:
    """The S3 URI of the stored check."""
    report: str = check.document["report"]
    folder, _, rest = report.rpartition("/reports/")
    return f"{folder}/checks/{rest.partition('/')[0]}.json"


def span(window: tuple[datetime, datetime]) -> str:
    """A window as text: dates for whole days, otherwise times."""
    whole = all(not (moment.hour or moment.minute or moment.second) for moment in window)
    start, end = (moment.date().isoformat() if whole else stamp(moment) for moment in window)
    return f"{start} to {end}"


def _reason(decision: detector.Decision, latest: Check) -> str:
    """What happened, in the words of the drift report; the figures with their limits are in the findings."""
    fired = len(set(decision.fired) & set(decision.considered))
    of = len(decision.considered)
    windows = f"{fired} of the latest {of} windows" if of > 1 else "the latest window that can be tested"
    kind = str(decision.kind)
    words = drift_words.of_kind(latest.verdict, kind)
    return f"{kind.capitalize()} drift in {windows}, {span(latest.window)}: {words}"
