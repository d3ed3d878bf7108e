"""Says why a retrain was requested, and which requests belong to a drift check's window. Decides nothing.

The evidence of a request names the windows that it was made of and the statistic that asked for it: the daily test of
fraud rates, its test of a pattern that has ended, the time since an adaptation, or those of whole windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from ml.site import wording
from ml.site.values import DriftState, Request

Cause = Literal["alarm", "end", "schedule", "windows"]
_CAUSES: dict[str, Cause] = {
    "daily_fraud_rate": "alarm",
    "daily_new_pattern_frauds": "end",
    "days_since_onset": "schedule",
}
_TITLES: dict[Cause, str] = {
    "alarm": "The daily test raised the alarm: concept drift",
    "end": "A retrain was requested: the new pattern has ended",
    "schedule": "Another adaptation was requested: more labels of a known pattern, no new drift",
}


def cause(item: Request) -> Cause:
    """What asked for the retrain."""
    findings = item.request.evidence.get("findings")
    for finding in findings if isinstance(findings, list | tuple) else ():
        if isinstance(finding, dict) and finding.get("statistic") in _CAUSES:
            return _CAUSES[finding["statistic"]]
    return "windows"


def title(item: Request) -> str:
    """The request as a title of the time line."""
    return _TITLES.get(cause(item), f"A retrain was requested: {item.request.cause.replace('-', ' ')}")


def outcome(item: Request) -> str:
    """What answered the request, as a sentence."""
    if item.resolution is None:
        return "It is open."
    if item.resolution.gate_failed:
        return "Its model failed the gate."
    return f"It led to model {item.resolution.record.stem}."


def of_window(check: DriftState, requests: Sequence[Request]) -> tuple[Request, ...]:
    """The requests that are about the window of a check, whenever they were made.

    A drift check asks after the window has ended, and about concept drift weeks later. Its request names the windows
    that it was made of: it belongs to the one in which the last of them ends, an alarm to all that its days are in. A
    request that a person wrote names none and belongs to the window of its commit.
    """
    return tuple(item for item in requests if _is_about(item, check))


def _is_about(item: Request, check: DriftState) -> bool:
    found = _fired(item)
    if found is None:
        return check.start <= item.landed.time < check.end
    start, end = found
    if cause(item) == "alarm":
        return start < check.end and end > check.start
    return check.start < end <= check.end


def alarms(check: DriftState, requests: Sequence[Request]) -> tuple[Request, ...]:
    """The alarms of the daily test that belong to the window of a check: it must not look calm."""
    return tuple(item for item in of_window(check, requests) if cause(item) == "alarm")


def _fired(item: Request) -> tuple[datetime, datetime] | None:
    """The latest window in which the drift of a request was found; None if its evidence does not say so."""
    windows = item.request.evidence.get("windows")
    found = [
        (start, end)
        for each in (windows if isinstance(windows, list | tuple) else ())
        if isinstance(each, dict) and each.get("fired") is True
        if (start := _moment(each.get("start"))) is not None and (end := _moment(each.get("end"))) is not None
    ]
    return max(found, key=lambda window: window[1], default=None)


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def sentence(item: Request) -> str:
    """The request in a sentence: when, why, the figure, and what answered it."""
    return f"{title(item)}, on {wording.moment(item.landed.time)}. {item.request.reason.rstrip('.')}. {outcome(item)}"
