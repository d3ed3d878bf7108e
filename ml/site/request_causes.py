"""Says why a retrain was requested, and which requests belong to a drift check's window. Decides nothing.

The evidence of a request names the windows that it was made of and the statistic that asked for it: the daily test of
fraud rates, its test of a pattern that has ended, the time since an adaptation, or those of whole windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ml.aws.drift_check_store import SuppressedRequest
from ml.gitops import reason_text
from ml.records import retrain_requests
from ml.records.retrain_requests import RaisedBy
from ml.site import wording
from ml.site.values import DriftState, Request

_TITLES: dict[RaisedBy, str] = {
    "alarm": "A retrain was requested after an alarm of the daily test: concept drift",
    "end": "A retrain was requested: the new pattern has ended",
    "schedule": "Another adaptation to the same concept drift was requested: more of its labels are known",
}
_HELD_BACK_TITLES: dict[str, str] = {
    "alarm": "Alarm of the daily test: concept drift; no retrain was requested on that day",
    "end": "No retrain was requested: the new pattern has ended",
    "schedule": "No retrain was requested: another adaptation to the same concept drift is due",
}


def cause(item: Request) -> RaisedBy:
    """What asked for the retrain."""
    return retrain_requests.raised_by(item.request.evidence)


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


_RULE = (
    "The first weeks of labels show only a part of a new pattern, so a model is adapted to it again once its rows "
    "are of twice as many days, and later once all of the latest days are new."
)
_HELD_BACK = timedelta(days=7)
"""A request belongs to what was suppressed before it, if that was found so shortly before."""


def raised(item: Request, suppressed: Sequence[SuppressedRequest] | None) -> str:
    """When the alarm that a request answers was raised, as a sentence; empty if the request is of no alarm.

    The daily test repeats an alarm each day, and a request is made as soon as nothing holds it back. The alarm is of
    the first of these days; without a suppressed request, it is of the day of the request.

    Args:
        suppressed: None if the lake was not read. Then the day is not known: Git has only that of the request.
    """
    if cause(item) != "alarm":
        return ""
    if suppressed is None:
        return "The day of the alarm is not known without the account."
    landed = item.landed.time
    before = [each for each in suppressed if answers(item, each)]
    if any(each.raised_by is None for each in before):
        return f"The alarm was raised on {wording.day(landed)} or before: what an earlier version stored does not say."
    first = min((each.first for each in before), default=landed)
    if first.date() == landed.date():
        return f"The alarm was raised on {wording.day(landed)}, the day of the request."
    return f"The alarm was raised on {wording.day(first)}; the request came on {wording.day(landed)}."


def answers(item: Request, suppressed: SuppressedRequest) -> bool:
    """Whether a request is of what had been suppressed: raised by the same, and found so shortly before.

    Earlier versions did not store what had raised a suppressed request; then its cause decides.
    """
    same = suppressed.cause == item.request.cause and suppressed.raised_by in (cause(item), None)
    landed = item.landed.time
    return same and suppressed.first < landed and landed - suppressed.latest <= _HELD_BACK


def held_back_title(item: SuppressedRequest) -> str:
    """What was suppressed as a title of the time line: an alarm is called one."""
    return _HELD_BACK_TITLES.get(item.raised_by or "", f"No retrain was requested: {item.cause.replace('-', ' ')}")


def held_back(item: SuppressedRequest, requests: Sequence[Request]) -> str:
    """What was found and how long, what held the request back first and last, and whether it came, as sentences."""
    alarm = item.raised_by == "alarm"
    what = "raised the alarm" if alarm else "found that a retrain is due"
    by = "The daily test" if alarm else "A drift check"
    later = item.latest.date() > item.first.date()
    again = f", and again on later days up to {wording.day(item.latest)}" if later else ""
    first, last = (text.rstrip(".") for text in (item.first_reason, item.reason))
    parts = [f"{by} of model {item.approval:04d} {what}{again}. What held the request back: {first}."]
    if later and last != first:
        parts.append(f"On {wording.day(item.latest)}: {last}.")
    for each in requests:
        if answers(each, item):
            parts.append(f"A retrain was requested on {wording.day(each.landed.time)}. {outcome(each)}")
    return " ".join(parts)


def rule(item: Request) -> str:
    """Why a drift that was answered is adapted to again, and from when; empty for a request of another cause."""
    return f"{_RULE} {reason_text.FITTED_DAYS}" if cause(item) == "schedule" else ""


def of_window(check: DriftState, requests: Sequence[Request]) -> tuple[Request, ...]:
    """The requests that are about the window of a check, whenever they were made.

    A drift check asks after the window has ended, and about concept drift weeks later. Its request names the windows
    that it was made of: it belongs to the one in which the last of them ends, an alarm to all that its days are in. A
    request that a person wrote names none and belongs to the window of its commit.
    """
    return tuple(item for item in requests if _is_about(item, check))


def counts(item: Request, check: DriftState) -> bool:
    """Whether the drift of a check is part of what a request was made of: one of its windows that fired ends in it.

    An alarm is of all windows that its days are in.
    """
    if cause(item) != "windows":
        return _is_about(item, check)
    found = _fired_windows(item)
    return any(check.start < end <= check.end for _, end in found) if found else _is_about(item, check)


def _is_about(item: Request, check: DriftState) -> bool:
    found = max(_fired_windows(item), key=lambda window: window[1], default=None)
    if found is None:
        return check.start <= item.landed.time < check.end
    start, end = found
    if cause(item) == "alarm":
        return start < check.end and end > check.start
    return check.start < end <= check.end


def alarms(check: DriftState, requests: Sequence[Request]) -> tuple[Request, ...]:
    """The alarms of the daily test that belong to the window of a check: it must not look calm."""
    return tuple(item for item in of_window(check, requests) if cause(item) == "alarm")


def _fired_windows(item: Request) -> list[tuple[datetime, datetime]]:
    """The windows in which the drift of a request was found; none if its evidence does not say so."""
    windows = item.request.evidence.get("windows")
    return [
        (start, end)
        for each in (windows if isinstance(windows, list | tuple) else ())
        if isinstance(each, dict) and each.get("fired") is True
        if (start := _moment(each.get("start"))) is not None and (end := _moment(each.get("end"))) is not None
    ]


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def sentence(item: Request, suppressed: Sequence[SuppressedRequest] | None) -> str:
    """The request in a sentence: when, why, the figure, and what answered it."""
    found = " ".join(filter(None, (raised(item, suppressed), f"{item.request.reason.rstrip('.')}.", outcome(item))))
    return f"{title(item)}, on {wording.moment(item.landed.time)}. {found}"
