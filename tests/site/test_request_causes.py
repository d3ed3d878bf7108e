"""Why a retrain was requested, from its evidence, and in which window of a drift check it belongs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from ml.aws.drift_check_store import SuppressedRequest
from ml.site import request_causes
from ml.site.values import Request
from tests.site.sites import OPEN, RESOLVED, at, check, request, resolution


def asked(statistic: str | None, *windows: tuple[object, object], month: int = 5, day: int = 15) -> Request:
    """A request of 2026 with the statistic and windows that fired in its evidence; resolved by model 0003."""
    made = request(OPEN, at(month, day), resolution(OPEN, Path("model-config/approvals/0003.yaml")))
    evidence: dict[str, Any] = {"findings": [{"statistic": statistic}]} if statistic else {"x": 1}
    if windows:
        evidence["windows"] = [{"start": start, "end": end, "fired": True} for start, end in windows]
    return dataclasses.replace(made, request=made.request.model_copy(update={"evidence": evidence}))


@pytest.mark.parametrize(
    ("statistic", "cause", "title"),
    [
        ("daily_fraud_rate", "alarm", "A retrain was requested after an alarm of the daily test: concept drift"),
        ("daily_new_pattern_frauds", "end", "A retrain was requested: the new pattern has ended"),
        (
            "days_since_onset",
            "schedule",
            "Another adaptation to the same concept drift was requested: more of its labels are known",
        ),
        ("psi", "windows", "A retrain was requested: data drift"),
        (None, "windows", "A retrain was requested: data drift"),
    ],
)
def test_cause_is_that_of_the_evidence(statistic: str | None, cause: str, title: str) -> None:
    """A repeated adaptation is no new concept drift, although its request has that cause."""
    item = asked(statistic)
    assert (request_causes.cause(item), request_causes.title(item)) == (cause, title)


def months(item: Request) -> list[int]:
    """The months, of January to August, whose checks list the request."""
    return [month for month in range(1, 9) if request_causes.of_window(check(month, 1, {}), [item]) == (item,)]


def test_request_of_a_person_belongs_to_the_window_of_its_commit() -> None:
    """It names no window; it is no alarm."""
    assert months(asked(None)) == [5]
    assert request_causes.alarms(check(5, 1, {}), [asked("psi")]) == ()


def test_request_belongs_to_the_latest_window_that_fired() -> None:
    """The check of April ran on 1 May, and that of concept drift in April in June, when labels were mature."""
    windows = ((at(3, 1, 0), at(4, 1, 0)), (at(4, 1, 0), at(5, 1, 0)))
    assert months(asked("psi", *windows, month=5, day=1)) == [4]
    assert months(asked("recall", *windows, month=6, day=20)) == [4]
    assert months(asked("psi", *reversed(windows), month=5, day=1)) == [4]


def test_request_counts_for_each_window_that_fired() -> None:
    """A request of two windows of three answers the drift of both."""
    item = asked("psi", (at(3, 1, 0), at(4, 1, 0)), (at(5, 1, 0), at(6, 1, 0)), month=6, day=1)
    assert [month for month in range(1, 9) if request_causes.counts(item, check(month, 1, {}))] == [3, 5]
    alarm = asked("daily_fraud_rate", (at(3, 20), at(5, 3)), month=5, day=3)
    assert [month for month in range(1, 9) if request_causes.counts(alarm, check(month, 1, {}))] == [3, 4, 5]
    person = asked(None)
    assert [month for month in range(1, 9) if request_causes.counts(person, check(month, 1, {}))] == [5]


def test_later_adaptation_and_end_of_a_pattern_belong_to_the_window_of_their_last_day() -> None:
    """Their days begin with the onset of what they are about, which was months ago."""
    for statistic in ("days_since_onset", "daily_new_pattern_frauds"):
        assert months(asked(statistic, (at(2, 10, 0), at(5, 15, 0)))) == [5]
        assert months(asked(statistic, (at(2, 10, 0), at(6, 1, 0)), month=6, day=1)) == [5]


@pytest.mark.parametrize("onset", ["2026-03-20T00:00:00Z", "2026-03-20", at(3, 20)])
def test_alarm_belongs_to_every_window_of_its_days(onset: object) -> None:
    """An alarm of 1 June about drift since March is on March, April and May, and not on June."""
    item = asked("daily_fraud_rate", (onset, "2026-06-01T00:00:00Z"), month=6, day=1)
    assert months(item) == [3, 4, 5]
    assert request_causes.alarms(check(4, 1, {}), [item]) == (item,)


@pytest.mark.parametrize("windows", ["none", [3], [{"start": "soon", "end": 3, "fired": True}], [{"fired": "yes"}]])
def test_windows_may_be_unknown(windows: object) -> None:
    """A person may have written the request: it belongs to the window of its commit."""
    made = asked("daily_fraud_rate")
    evidence = {**made.request.evidence, "windows": windows}
    changed = dataclasses.replace(made, request=made.request.model_copy(update={"evidence": evidence}))
    assert months(changed) == [5]


def held(first: int, latest: int, **changes: Any) -> SuppressedRequest:
    """A request that was due from one day of May to another and not created."""
    values: dict[str, Any] = {"request": "r", "cause": "data-drift", "raised_by": "alarm", "approval": 1}
    values |= {"first_reason": "r", "reason": "r"}
    return SuppressedRequest(**(values | {"first": at(5, first), "latest": at(5, latest)} | changes))


def test_alarm_is_of_the_first_day_of_those_that_were_suppressed() -> None:
    """A request that waited for labels is later than its alarm; other causes and older alarms are not its own."""
    alarm = asked("daily_fraud_rate")
    assert request_causes.raised(alarm, [held(7, 14)]) == (
        "The alarm was raised on 7 May 2026; the request came on 15 May 2026."
    )
    own = "The alarm was raised on 15 May 2026, the day of the request."
    others = [held(7, 14, cause="prediction-drift"), held(1, 3), held(16, 17), held(7, 14, raised_by="schedule")]
    assert request_causes.raised(alarm, others) == own
    assert request_causes.raised(asked("psi"), [held(7, 14)]) == ""


def test_day_of_an_alarm_is_not_invented() -> None:
    """Git has only the day of the request, and earlier versions did not store what had raised a suppressed request."""
    alarm = asked("daily_fraud_rate")
    assert request_causes.raised(alarm, None) == "The day of the alarm is not known without the account."
    assert request_causes.raised(alarm, [held(7, 14, raised_by=None)]) == (
        "The alarm was raised on 15 May 2026 or before: what an earlier version stored does not say."
    )
    assert request_causes.raised(asked("psi"), None) == ""


def test_repeated_adaptation_has_its_rule() -> None:
    """A reader asks why a drift that was answered is adapted to again."""
    assert "a model is adapted to it again once its rows are of twice as many days" in request_causes.rule(
        asked("days_since_onset")
    )
    assert request_causes.rule(asked("daily_fraud_rate")) == ""


def test_sentence_has_time_figure_and_answer() -> None:
    """And a request without an answer is open."""
    said = request_causes.sentence(asked("daily_fraud_rate"), ())
    assert said.startswith(
        "A retrain was requested after an alarm of the daily test: concept drift, on 15 May 2026, 06:00 UTC. The alarm "
        "was raised on 15 May 2026, the day of the request. Data drift in 2 "
    )
    assert said.endswith("It led to model 0003.")
    assert request_causes.outcome(request(OPEN, at(5), None)) == "It is open."
    failed = request(RESOLVED, at(4), resolution(RESOLVED, Path("x.yaml"), failed=True))
    assert request_causes.outcome(failed) == "Its model failed the gate."
