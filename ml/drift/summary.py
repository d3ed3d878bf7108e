"""Markdown of a drift check for the step's summary: verdicts, findings, charts, requests.

Charts are Mermaid, of numbers and names of our own: a name that Mermaid could read as anything else is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml.clock import stamp
from ml.drift.evidence import sentence, span, strongest
from ml.drift.monitor import Check
from ml.gitops.markdown import code, details, fence, link, table, text
from ml.model.drift.verdict import KINDS, Judgement

if TYPE_CHECKING:
    from ml.drift.result import DriftCheckResult, NoTraffic

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_BARS = 12
_FIRED = 10


def why(check: Check) -> str:
    """The verdict in a sentence or two: what fired first of each kind, and what could not be judged."""
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
    """The whole check."""
    latest = checks[-1]
    parts = [
        f"### Drift: {text(result.verdict)}",
        f"{code(result.endpoint)}, {span(latest.window)}, against approval {latest.approval:04d}: "
        f"{text(result.reason)}.",
    ]
    if result.silence is not None:
        parts.append(
            f"**No traffic** since {stamp(result.silence.since)}, {result.silence.hours:,.0f} hours: nobody can say "
            "whether anything drifts."
        )
    parts += [_asked(each.request, each.state, each.reason) for each in result.requests]
    if not result.requests:
        parts.append(
            f"Due: {', '.join(result.due)}; nothing was asked for (report only)."
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
    """The issue of an endpoint that nobody calls, or whose calls are not captured."""
    run = f"\n\n{link('The run', run_url)}" if run_url else ""
    return (
        f"Nothing was captured of {code(endpoint)} since {stamp(silence.since)}, for {silence.hours:,.0f} hours. "
        "Either nobody calls it, or its calls are not captured; whether anything drifts cannot be said meanwhile."
        "\n\nLook at the endpoint's invocations in CloudWatch, at `capture.sampling_percentage` in "
        "`model-config/serving/production.yaml`, and at who calls it. `no_traffic_hours` in "
        "`model-config/monitoring/drift.yaml` says how long is too long. The next check that finds traffic closes "
        f"this.{run}"
    )


def _asked(name: str, state: str, reason: str) -> str:
    words = {
        "requested": "A new model is asked for",
        "proposed": "A new model is to be asked for",
        "asked before": "It was asked for before",
        "held back": "No request was made",
        "breaker open": "No request was made, and a person is asked",
    }
    return f"**{words[state]}** ({code(name)}): {text(reason)}."


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
    """That lines could not be read, which is never passed over."""
    found = check.document["traffic"]
    if not found["unreadable_lines"]:
        return ""
    reasons = ", ".join(f"{text(reason)} ({count:,})" for reason, count in found["reasons"].items())
    aside = f"; kept aside, among them {code(found['kept_aside'][0])}" if found["kept_aside"] else ""
    return f"{found['unreadable_lines']:,} lines of {span(check.window)} could not be read: {reasons}{aside}."


def _labels(found: Judgement) -> str:
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
    return details(f"What fired in {span(check.window)} ({len(fired)})", shown + rest)


def _features(found: Judgement) -> str:
    """The inputs that moved most, as bars."""
    moved = sorted(found.features, key=lambda feature: -feature.js)
    shown = [feature for feature in moved if _PLAIN.fullmatch(feature.name)][:_BARS]
    if not shown:
        return ""
    top = max(0.1, *(feature.js for feature in shown))
    names = ", ".join(feature.name for feature in shown)
    values = ", ".join(f"{feature.js:.3f}" for feature in shown)
    return fence(
        "xychart-beta\n"
        '    title "Inputs that moved most"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {top:.2f}\n'
        f"    bar [{values}]",
        "mermaid",
    )


def _history(past: Sequence[Judgement]) -> str:
    """How far the input that moved most lay from the reference, window by window."""
    shown = [each for each in past if each.features][-12:]
    if len(shown) < 2:
        return ""
    values = [max(feature.js for feature in each.features) for each in shown]
    names = ", ".join(f'"{each.start:%y-%m-%d}"' for each in shown)
    return fence(
        "xychart-beta\n"
        '    title "The furthest input, window by window"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {max(0.1, *values):.2f}\n'
        f"    line [{', '.join(f'{value:.3f}' for value in values)}]",
        "mermaid",
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
