"""Builds the evidence of a retrain request: figures, limits, windows and where they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ml.clock import stamp
from ml.drift.monitor import Check
from ml.drift.retrain_requester import DriftCase
from ml.model.drift import detector

_QUOTED_FINDINGS = 12
"""Findings that a request quotes; the check that it names holds all."""
_DIGITS = 6


def case(decision: detector.Decision, past: Sequence[Check], also: Sequence[str]) -> DriftCase:
    """The case for `decision`, with evidence from the latest window in which its kind of drift fired.

    Args:
        past: the verdicts that the decision used.
        also: the other kinds of drift that are due.
    """
    kind = str(decision.kind)
    by_window = {each.window: each for each in past}
    latest = by_window[decision.fired[-1]]
    findings = strongest(latest.judgement, kind)
    evidence = {
        "kind": kind,
        "model": {"approval": latest.approval, "artifact_sha256": latest.judgement.reference},
        "onset": decision.onset,
        "windows": [
            {
                "start": window[0],
                "end": window[1],
                "fired": window in decision.fired,
                "approval": by_window[window].approval,
                "verdicts": list(by_window[window].judgement.verdicts),
                "rows": by_window[window].judgement.rows,
            }
            for window in sorted({*decision.considered, *decision.fired})
        ],
        "findings": [quoted(finding) for finding in findings[:_QUOTED_FINDINGS]],
        "findings_in_all": len(findings),
        "top_features": [moved(feature) for feature in latest.judgement.top_features],
        **({"also_due": list(also)} if also else {}),
        "check": check_uri(latest),
        "report": latest.document["report"],
    }
    return DriftCase(decision=decision, reason=_reason(decision, latest, findings), evidence=evidence)


def strongest(judgement: detector.DriftVerdict, kind: str) -> list[detector.Finding]:
    """The findings of a kind that fired, furthest beyond their threshold first."""
    fired = judgement.fired(kind)

    def beyond(finding: detector.Finding) -> float:
        value, limit = abs(finding.value or 0.0), abs(finding.threshold)
        if not value or not limit:
            return float("inf")
        return max(value / limit, limit / value)

    return sorted(fired, key=lambda finding: (-beyond(finding), finding.p_value or 0.0, finding.statistic))


def quoted(finding: detector.Finding) -> dict[str, Any]:
    """A finding as plain values."""
    return {
        "statistic": finding.statistic,
        "of": finding.subject,
        "value": rounded(finding.value),
        "threshold": rounded(finding.threshold),
        "reference": rounded(finding.reference),
        "p_value": rounded(finding.p_value),
        "alpha": rounded(finding.alpha),
        "detail": finding.detail,
    }


def moved(feature: detector.FeatureDrift) -> dict[str, Any]:
    """How far an input has moved, as plain values."""
    names = ("ks", "psi", "js", "mean_shift")
    return {"name": feature.name} | {name: rounded(getattr(feature, name)) for name in names}


def rounded(value: float | None) -> float | None:
    """`value` with six significant digits."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def check_uri(found: Check) -> str:
    """The S3 URI of the stored check."""
    report: str = found.document["report"]
    folder, _, rest = report.rpartition("/reports/")
    return f"{folder}/checks/{rest.partition('/')[0]}.json"


def span(window: tuple[datetime, datetime]) -> str:
    """A window as text; in days if it consists of whole days."""
    whole = all(not (moment.hour or moment.minute or moment.second) for moment in window)
    start, end = (moment.date().isoformat() if whole else stamp(moment) for moment in window)
    return f"{start} to {end}"


def sentence(finding: detector.Finding) -> str:
    """A finding as a phrase: statistic, subject, value, limit, p-value."""
    of = f" of {finding.subject}" if finding.subject else ""
    p_value = f", p {finding.p_value:.1g}" if finding.p_value is not None else ""
    value = "–" if finding.value is None else f"{finding.value:.3g}"
    statistic = finding.statistic.replace("_", " ")
    return f"{statistic}{of} {value} (limit {finding.threshold:.3g}{p_value})"


def _reason(decision: detector.Decision, latest: Check, findings: Sequence[detector.Finding]) -> str:
    fired = len(set(decision.fired) & set(decision.considered))
    of = len(decision.considered)
    windows = f"{fired} of the latest {of} windows" if of > 1 else "the latest window that can be judged"
    strongest_findings = "; ".join(sentence(finding) for finding in findings[:3])
    more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
    kind = str(decision.kind).capitalize()
    return f"{kind} drift in {windows}, {span(latest.window)}: {strongest_findings}{more}"
