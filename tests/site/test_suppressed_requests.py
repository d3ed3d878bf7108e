"""Drift that was due and asked for no retrain: daily repetitions are one event of the time line."""

from __future__ import annotations

from datetime import datetime

from ml.aws.drift_check_store import SuppressedRequest
from ml.site import suppressed_requests, time_line
from tests.site.sites import at


def item(first: datetime, *, latest: datetime | None = None, approval: int = 1, reason: str = "r") -> SuppressedRequest:
    """A request for data drift that was due from `first` on."""
    name = f"{first:%Y%m%dT%H%M%SZ}-data-drift"
    return SuppressedRequest(
        request=name, cause="data-drift", reason=reason, approval=approval, first=first, latest=latest or first
    )


def test_repetitions_are_one() -> None:
    """From the first to the last time, with the latest reason; another model, or a week later, is another one."""
    first, second = item(at(4, 1)), item(at(4, 2), latest=at(4, 5), reason="new")
    (found,) = suppressed_requests.together([second, first])
    assert (found.first, found.latest, found.reason) == (at(4, 1), at(4, 5), "new")
    other, later = item(at(4, 2), approval=2), item(at(4, 20))
    assert suppressed_requests.together([first, other, later]) == (first, other, later)


def test_time_line_says_why_and_how_long() -> None:
    """With the model, and without a commit, which there is none of."""
    held = item(at(4, 1), latest=at(4, 5), reason="the cooldown of data-drift is 21 days")
    (event,) = time_line.events((), {}, (), (), [held])
    assert (event.kind, event.at, event.model, event.commit) == ("suppressed request", at(4, 1), 1, None)
    assert event.title == "No retrain was requested: data drift"
    assert event.detail == (
        "A drift check of model 0001 found that one is due, the last time on 5 April 2026. What held it back: the "
        "cooldown of data-drift is 21 days."
    )
    (once,) = time_line.events((), {}, (), (), [item(at(4, 1))])
    assert "the last time" not in once.detail
