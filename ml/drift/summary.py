"""Markdown of a drift check for the step's summary: verdicts, findings, charts, requests.

Charts are Mermaid, from numbers and plain names; a name that Mermaid could interpret is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml.clock import stamp
from ml.drift.evidence import sentence, span, strongest
from ml.drift.monitor import Check
from ml.gitops.markdown import code, details, fence, link, table, text
from ml.model.drift.verdict import KINDS, DriftVerdict

if TYPE_CHECKING:
    from ml.drift.result import DriftCheckResult, NoTraffic

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_BARS = 12
_FIRED = 10


def why(check: Check) -> str:
    """The verdict in a sentence or two: the strongest finding of each kind, and what could not be judged."""
    found = check.judgement
    parts = []
    for kind in KINDS:
        fired = strongest(found, kind)
        if fired:
            more = f" and {len(fired) - 1} more" if len(fired) > 1 else ""
            parts.append(f"{kind}: {sentence(fired[0])}{more}")
    parts += list(found.reasons)
    return "; ".join(parts) or f"{found.rows:,} rows were judged and nothing fired"


def checked(result: DriftCheckResult, checks: Sequence[Check], past: Sequence[Check]) -> str:
    """The summary of the whole check."""
    latest = checks[-1]
    parts = [
        f"### Drift: {text(result.verdict)}",
        f"{code(result.endpoint)}, {span(latest.window)}, against approval {latest.approval:04d}: "
        f"{text(result.reason)}.",
    ]
    if result.silence is not None:
        parts.append(
            f"**No traffic** since {stamp(result.silence.since)}, {result.silence.hours:,.0f} hours: drift cannot be "
            "judged."
        )
    parts += [_asked(each.request, each.state, each.reason) for each in result.requests]
    if not result.requests:
        parts.append(
            f"Due: {', '.join(result.due)}; no request was created (report only)."
            if result.due
            else "No request is due."
        )
    parts.append(_windows(checks))
    parts += filter(None, map(_unread, checks))
    parts += [_findings(each) for each in checks if any(finding.fired for finding in each.judgement.findings)]
    parts += filter(None, [_features(latest.judgement), _history([each.judgement for each in past])])
    parts.append(f"Report: {code(latest.document['report'])}")
    return "\n\n".join(parts)


def silent(endpoint: str, silence: NoTraffic, run_url: str | None) -> str:
    """The issue about an endpoint without captured traffic."""
    run = f"\n\n{link('The run', run_url)}" if run_url else ""
    return (
        f"No traffic of {code(endpoint)} was captured since {stamp(silence.since)}, for {silence.hours:,.0f} hours. "
        "Either it gets no requests, or they are not captured. Drift cannot be judged meanwhile."
        "\n\nCheck the endpoint's invocations in CloudWatch, `capture.sampling_percentage` in "
        "`model-config/serving/production.yaml`, and the clients of the endpoint. `no_traffic_hours` in "
        "`model-config/monitoring/drift.yaml` is the limit. The next check that finds traffic closes "
        f"this issue.{run}"
    )


def _asked(name: str, state: str, reason: str) -> str:
    states = {
        "requested": "A retrain is requested",
        "proposed": "A pull request proposes a retrain",
        "already requested": "A retrain was requested before",
        "suppressed": "No request was created",
        "circuit breaker open": "No request was created; the circuit breaker is open",
    }
    return f"**{states[state]}** ({code(name)}): {text(reason)}."


def _windows(checks: Sequence[Check]) -> str:
    rows = [
        (
            span(each.window),
            text(", ".join(each.judgement.verdicts)),
            f"{each.judgement.rows:,}",
            _labels(each.judgement),
            "now" if each.new else "before",
        )
        for each in checks
    ]
    return table(("window", "verdict", "rows", "labels", "judged"), rows, numbers=(2,))


def _unread(check: Check) -> str:
    """Lines that could not be decoded, if there are any."""
    found = check.document["traffic"]
    if not found["unreadable_lines"]:
        return ""
    reasons = ", ".join(f"{text(reason)} ({count:,})" for reason, count in found["reasons"].items())
    stored = f"; stored as dead letters, such as {code(found['kept_aside'][0])}" if found["kept_aside"] else ""
    return f"{found['unreadable_lines']:,} lines of {span(check.window)} could not be decoded: {reasons}{stored}."


def _labels(found: DriftVerdict) -> str:
    if not found.labels:
        return "none"
    return f"{found.labels['mature_days']} of {found.labels['days']} days mature"


def _findings(check: Check) -> str:
    fired = [finding for kind in KINDS for finding in strongest(check.judgement, kind)]
    rows = [
        (
            text(finding.kind),
            text(finding.statistic.replace("_", " ")),
            code(finding.subject) if finding.subject else "the window",
            _figure(finding.value),
            _figure(finding.threshold),
            _figure(finding.p_value),
            text(finding.detail),
        )
        for finding in fired[:_FIRED]
    ]
    shown = table(("kind", "statistic", "of", "value", "limit", "p", "detail"), rows, numbers=(3, 4, 5))
    rest = f"\n\n… and {len(fired) - _FIRED} more, in the report." if len(fired) > _FIRED else ""
    return details(f"Findings in {span(check.window)} ({len(fired)})", shown + rest)


def _features(found: DriftVerdict) -> str:
    """The inputs with the largest shifts, as bars."""
    moved = sorted(found.features, key=lambda feature: -feature.js)
    shown = [feature for feature in moved if _PLAIN.fullmatch(feature.name)][:_BARS]
    if not shown:
        return ""
    top = max(0.1, *(feature.js for feature in shown))
    names = ", ".join(feature.name for feature in shown)
    values = ", ".join(f"{feature.js:.3f}" for feature in shown)
    return fence(
        "xychart-beta\n"
        '    title "Inputs with the largest shifts"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {top:.2f}\n'
        f"    bar [{values}]",
        "mermaid",
    )


def _history(past: Sequence[DriftVerdict]) -> str:
    """The largest shift of an input, window by window."""
    shown = [each for each in past if each.features][-12:]
    if len(shown) < 2:
        return ""
    values = [max(feature.js for feature in each.features) for each in shown]
    names = ", ".join(f'"{each.start:%y-%m-%d}"' for each in shown)
    return fence(
        "xychart-beta\n"
        '    title "Largest shift by window"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {max(0.1, *values):.2f}\n'
        f"    line [{', '.join(f'{value:.3f}' for value in values)}]",
        "mermaid",
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
