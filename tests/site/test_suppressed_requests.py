"""Drift that was due and asked for no retrain: daily repetitions are one event of the time line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ml.aws.drift_check_store import SuppressedRequest
from ml.site import suppressed_requests, time_line
from tests.site.sites import at
from tests.site.test_request_causes import asked


def item(first: datetime, *, latest: datetime | None = None, reason: str = "r", **changes: Any) -> SuppressedRequest:
    """A request for data drift that was due from `first` on."""
    values: dict[str, Any] = {
        "request": f"{first:%Y%m%dT%H%M%SZ}-data-drift",
        "cause": "data-drift",
        "raised_by": "windows",
        "first_reason": reason,
        "reason": reason,
        "approval": 1,
        "first": first,
        "latest": latest or first,
    }
    return SuppressedRequest(**(values | changes))


def test_repetitions_are_one() -> None:
    """From the first to the last time, with both reasons; another model or origin, or a week later, is another one."""
    first, second = item(at(4, 1)), item(at(4, 2), latest=at(4, 5), reason="new")
    (found,) = suppressed_requests.together([second, first])
    assert (found.first, found.latest, found.first_reason, found.reason) == (at(4, 1), at(4, 5), "r", "new")
    other, later = item(at(4, 2), approval=2), item(at(4, 20))
    alarm = item(at(4, 3), raised_by="alarm")
    assert suppressed_requests.together([first, other, alarm, later]) == (first, other, alarm, later)


def test_time_line_says_why_and_how_long() -> None:
    """With the model, and without a commit, which there is none of."""
    held = item(at(4, 1), latest=at(4, 5), reason="the cooldown of data-drift is 21 days")
    (event,) = time_line.events((), {}, (), (), [held])
    assert (event.kind, event.at, event.model, event.commit) == ("suppressed request", at(4, 1), 1, None)
    assert event.title == "No retrain was requested: data drift"
    assert event.detail == (
        "A drift check of model 0001 found that a retrain is due, and again on later days up to 5 April 2026. What "
        "held the request back: the cooldown of data-drift is 21 days."
    )
    (once,) = time_line.events((), {}, (), (), [item(at(4, 1))])
    assert "again" not in once.detail


def test_alarm_is_called_one_and_says_what_followed() -> None:
    """With the reason of its day; that of a later day has its date. The request came of it, and of nothing else."""
    held = item(
        at(5, 7), latest=at(5, 14), raised_by="alarm", first_reason="4 frauds are labelled", reason="19 frauds are"
    )
    requested = asked("daily_fraud_rate")
    found = {event.kind: event for event in time_line.events((), {}, [requested], (), [held])}
    alarm = found["alarm"]
    assert (alarm.at, alarm.title) == (
        at(5, 7),
        "Alarm of the daily test: concept drift; no retrain was requested on that day",
    )
    assert alarm.detail == (
        "The daily test of model 0001 raised the alarm, and again on later days up to 14 May 2026. What held the "
        "request back: 4 frauds are labelled. On 14 May 2026: 19 frauds are. A retrain was requested on 15 May 2026. "
        "It led to model 0003."
    )
    (alone,) = time_line.events((), {}, [], (), [held])
    assert "A retrain was requested" not in alone.detail
    schedule = item(at(5, 7), raised_by="schedule")
    (_, again) = time_line.events((), {}, [requested], (), [schedule])
    assert (again.kind, again.title) == (
        "suppressed request",
        "No retrain was requested: another adaptation to the same concept drift is due",
    )
