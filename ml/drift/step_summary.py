"""Markdown of a drift check for the step's summary: verdicts, findings, charts, requests.

Charts are Mermaid. Column names that Mermaid could misread are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ml.clock import stamp
from ml.drift import request_text
from ml.drift.request_evidence import alarm_detail, end_detail, span, strongest
from ml.drift.window_monitor import Check
from ml.gitops.markdown_escaping import code, details, fence, link, table, text
from ml.model.drift.verdict import KINDS, DriftVerdict
from ml.report import drift_words, judged_rows

if TYPE_CHECKING:
    from ml.drift.concept_alarm import ConceptAlarm
    from ml.drift.missing_labels import NoLabels
    from ml.drift.result import DriftCheckResult, NoTraffic

_SAFE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,31}")
_MAX_BARS = 12
_MAX_FINDINGS = 10


def why(check: Check) -> str:
    """What happened in words, and what could not be tested."""
    headline = _headline(check)
    return "; ".join([headline, *(reason for reason in check.verdict.reasons if reason not in headline)])


def _headline(check: Check) -> str:
    return drift_words.headline(check.verdict, judged_rows.read(check.document, check.verdict.rows))


def drift_check(
    result: DriftCheckResult, checks: Sequence[Check], past: Sequence[Check], *, handed_over: bool = False
) -> str:
    """The summary of one drift check; `handed_over` says whether another job creates the requests."""
    latest = checks[-1]
    parts = [
        f"### Drift: {text(_title(result))}",
        f"**{text(_headline(latest))}.**",
        f"{code(result.endpoint)}, {span(latest.window)}, against approval {latest.approval:04d}.",
        "\n".join(f"- {text(line.kind)}: {text(line.words)}" for line in drift_words.lines(latest.verdict)),
        "\n".join(f"{text(reason)}." for reason in latest.verdict.reasons),
    ]
    if result.no_traffic is not None:
        parts.append(
            f"**No traffic** since {stamp(result.no_traffic.since)}, {result.no_traffic.hours:,.0f} hours: drift "
            "cannot be detected."
        )
    if result.no_labels is not None:
        parts.append(f"**No labels.** {text(result.no_labels.detail)}.")
    if result.concept_alarm is not None:
        parts += [_alarm(result.concept_alarm), *filter(None, [ended(result.concept_alarm)])]
    parts += [request_text.outcome(each) for each in result.requests]
    if result.causes and (handed_over or not result.requests):
        parts.append(
            f"Due: {', '.join(result.causes)}; "
            + ("the job `request` creates the request." if handed_over else "no request was created (report only).")
        )
    elif not result.requests:
        parts.append("No request is due.")
    parts.append(_windows(checks))
    parts += filter(None, map(_unread, checks))
    parts += [_findings(each) for each in checks if any(finding.fired for finding in each.verdict.findings)]
    parts += filter(None, [_features(latest.verdict), _history([each.verdict for each in past])])
    parts.append(f"Report in the data lake: {code(latest.document['report'])}")
    return "\n\n".join(filter(None, parts))


def _title(result: DriftCheckResult) -> str:
    """The verdict on the window; an alarm of the daily test stands beside it, because the window may look calm."""
    if result.concept_alarm is not None and result.concept_alarm.fired:
        return f"alarm of the daily test; tests of the whole window: {result.verdict}"
    return result.verdict


def no_traffic_issue(endpoint: str, no_traffic: NoTraffic, run_url: str | None) -> str:
    """The body of the issue about an endpoint without captured traffic."""
    run = f"\n\n{link('The run', run_url)}" if run_url else ""
    return (
        f"No traffic of {code(endpoint)} was captured since {stamp(no_traffic.since)}, for {no_traffic.hours:,.0f} "
        "hours. Either it receives no requests, or they are not captured. Drift cannot be detected meanwhile."
        "\n\nCheck the endpoint's invocations in CloudWatch, `capture.sampling_percentage` in "
        "`model-config/serving/production.yaml`, and the endpoint's clients. `no_traffic_hours` in "
        "`model-config/monitoring/drift.yaml` sets the limit. The next check that finds traffic closes this issue."
        f"{run}"
    )


def no_labels_issue(endpoint: str, no_labels: NoLabels, run_url: str | None) -> str:
    """The body of the issue about labels that do not arrive."""
    run = f"\n\n{link('The run', run_url)}" if run_url else ""
    return (
        f"{text(no_labels.detail)} ({code(endpoint)})."
        "\n\nUntil they arrive, nothing shows which frauds the model misses, and no training run can learn them. Find "
        "out why no chargebacks are delivered. Where there are none, have a random sample of the transactions without "
        "an alert reviewed, and deliver the findings: a fraud among them counts in the daily concept test at once.\n\n"
        "`no_labels_days` in `model-config/monitoring/drift.yaml` sets the limit. The next check that finds mature "
        "labels closes this issue."
        f"{run}"
    )


def ended(alarm: ConceptAlarm) -> str:
    """Whether the frauds of the new pattern have stopped; '' if they have not, or the model has no such pattern."""
    found = alarm.ended
    if found is None or not found.fired:
        return ""
    return f"{end_detail(found)}. Approval {alarm.approval:04d} keeps alerting on it"


def _alarm(alarm: ConceptAlarm) -> str:
    """The result of the daily concept test."""
    days = span((alarm.start, alarm.end))
    if alarm.onset is not None:
        return f"**Concept drift since {alarm.onset.date()}** by the daily test of {days}: {text(alarm_detail(alarm))}."
    return f"The daily concept test of {days} gives no alarm (p {alarm.evidence.p_value:.1g})."


def _windows(checks: Sequence[Check]) -> str:
    rows = [
        (
            span(each.window),
            text(", ".join(each.verdict.verdicts)),
            f"{each.verdict.rows:,}",
            _labels(each.verdict),
            "now" if each.new else "earlier",
        )
        for each in checks
    ]
    return table(("window", "verdict", "rows", "labels", "tested"), rows, numbers=(2,))


def _unread(check: Check) -> str:
    """Reports capture lines that could not be decoded."""
    traffic = check.document["traffic"]
    if not traffic["unreadable_lines"]:
        return ""
    reasons = ", ".join(f"{text(reason)} ({count:,})" for reason, count in traffic["reasons"].items())
    aside = f"; stored as dead letters, e.g. {code(traffic['kept_aside'][0])}" if traffic["kept_aside"] else ""
    return f"{traffic['unreadable_lines']:,} lines of {span(check.window)} could not be decoded: {reasons}{aside}."


def _labels(verdict: DriftVerdict) -> str:
    if not verdict.labels:
        return "none"
    return f"{verdict.labels['mature_days']} of {verdict.labels['days']} days mature"


def _findings(check: Check) -> str:
    fired = [finding for kind in KINDS for finding in strongest(check.verdict, kind)]
    rows = [
        (
            text(finding.kind),
            text(finding.statistic.replace("_", " ")),
            code(finding.subject) if finding.subject else "the window",
            _figure(finding.value),
            _figure(finding.threshold),
            drift_words.p_value(finding.p_value),
            text(finding.detail),
        )
        for finding in fired[:_MAX_FINDINGS]
    ]
    shown = table(("kind", "statistic", "of", "value", "limit", "p", "detail"), rows, numbers=(3, 4, 5))
    rest = f"\n\n… and {len(fired) - _MAX_FINDINGS} more, in the report." if len(fired) > _MAX_FINDINGS else ""
    return details(f"Statistics of {span(check.window)} ({len(fired)})", shown + rest)


def _features(verdict: DriftVerdict) -> str:
    """A bar chart of the inputs with the largest shift."""
    by_shift = sorted(verdict.features, key=lambda feature: -feature.js)
    shown = [feature for feature in by_shift if _SAFE_NAME.fullmatch(feature.name)][:_MAX_BARS]
    if not shown:
        return ""
    top = max(0.1, *(feature.js for feature in shown))
    names = ", ".join(feature.name for feature in shown)
    values = ", ".join(f"{feature.js:.3f}" for feature in shown)
    return fence(
        "xychart-beta\n"
        '    title "Inputs with the largest shift"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {top:.2f}\n'
        f"    bar [{values}]",
        "mermaid",
    )


def _history(past: Sequence[DriftVerdict]) -> str:
    """A line chart of the largest input shift in each window."""
    shown = [each for each in past if each.features][-12:]
    if len(shown) < 2:
        return ""
    values = [max(feature.js for feature in each.features) for each in shown]
    names = ", ".join(f'"{each.start:%y-%m-%d}"' for each in shown)
    return fence(
        "xychart-beta\n"
        '    title "Largest input shift by window"\n'
        f"    x-axis [{names}]\n"
        f'    y-axis "Jensen-Shannon distance" 0 --> {max(0.1, *values):.2f}\n'
        f"    line [{', '.join(f'{value:.3f}' for value in values)}]",
        "mermaid",
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
