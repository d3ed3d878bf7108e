"""The time line: one event for each request, gate failure, move of the pointer and deployment."""

from __future__ import annotations

import dataclasses

import pytest

from ml.aws.drift_check_store import SuppressedRequest
from ml.gitops import approval_decision
from ml.site import time_line
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import record
from tests.site.sites import at, period, site
from tests.site.test_request_causes import asked


def test_events_are_in_order_of_time() -> None:
    """The latest first; at the same time, the request comes before what it led to."""
    found = site().events
    assert [event.kind for event in found] == [
        "request",
        "deployment",
        "rollback",
        "gate failure",
        "request",
        "deployment",
        "approval",
        "request",
        "deployment",
        "approval",
    ]
    assert [event.at for event in found] == sorted((event.at for event in found), reverse=True)


def test_events_say_who_and_why() -> None:
    """People are those of GitHub; a request says what became of it."""
    by_title = {event.title: event for event in site().events}
    approval = by_title["Model 0002 was approved"]
    assert approval.detail.startswith("Pull request #2, approved by bob, merged by alice ")
    assert "Recall 0.90 > 0.60 on 20 frauds." in approval.detail
    assert by_title["Rollback to model 0001"].model == 1
    failure = by_title["A model failed the gate and was not proposed"]
    assert failure.detail.endswith("It was trained for request 20260501T060000Z-data-drift.")
    outcomes = [event.detail.split(". ")[0] for event in site().events if event.kind == "request"]
    assert outcomes == ["It is open", "Its model failed the gate", "It led to model 0002"]


def test_failed_deployments_and_an_empty_pointer_are_events() -> None:
    """A failed deployment has its reason; without GitHub, the author of the merge is named."""
    deployment = finished(1, "2026-03-01T07:00:00Z", status="failed", reason="No.")
    periods = [period(1, at(3), None, pull=None, deployments=(deployment,)), period(None, at(4), None, pull=None)]
    nothing, failed, approved = time_line.events(periods, {1: record(1)}, (), ())
    assert (nothing.kind, nothing.model) == ("nothing", None)
    assert (failed.kind, failed.title, failed.detail) == (
        "failed deployment",
        "Deployment of model 0001 failed",
        "No.",
    )
    assert approved.detail.startswith("Merged by eve ")


def test_approval_says_what_is_worse_and_what_cannot_be_told() -> None:
    """With the evaluation, as in the title of the pull request; without it, what the record has of the comparison."""
    whole = site()
    events = time_line.events(whole.periods, dict(whole.records), (), (), evidence=whole.evidence)
    second = next(event for event in events if event.title == "Model 0002 was approved")
    evaluation = whole.evidence[2].evaluation
    assert evaluation is not None
    decision = approval_decision.decision(whole.records[2], evaluation)
    assert f"{decision[:1].upper()}{decision[1:]}." in second.detail
    checks = [
        {"name": "a", "passed": True, "detail": "Precision is worse.", "outcome": "worse"},
        {"name": "b", "passed": True, "detail": "It cannot be told.", "outcome": "cannot tell"},
        {"name": "c", "passed": True, "detail": "All is well.", "outcome": None},
    ]
    changed = dataclasses.replace(
        whole.evidence[2], evaluation={**evaluation, "verdict": {**evaluation["verdict"], "checks": checks}}
    )
    events = time_line.events(whole.periods, dict(whole.records), (), (), evidence={2: changed})
    second = next(event for event in events if event.title == "Model 0002 was approved")
    assert "Precision is worse. It cannot be told. Fit (" in second.detail
    assert "All is well." not in second.detail
    without = next(event for event in whole.events if event.title == "Model 0002 was approved")
    assert "Compared with the champion on 3900 test rows with 40 frauds." in without.detail


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Deployment of approval 0002 failed: serve approval 0001 again", "failed: serve approval 0001 again. Pull"),
        ("Serve approval 0001 again", "Serve approval 0001 again. Its pull request gives no reason. Pull request #1"),
    ],
)
def test_rollback_has_the_reason_of_its_pull_request(title: str, said: str) -> None:
    """The subject of a merge commit is that of every merge."""
    back = period(1, at(5), None, rollback=True, subject="Merge pull request #5 from acme/rollback/0001")
    assert back.pull is not None
    (_, event) = time_line.events(
        [dataclasses.replace(back, pull=dataclasses.replace(back.pull, title=title))], {}, (), ()
    )
    assert said in event.detail
    assert "Merge pull request" not in event.detail
    (_, alone) = time_line.events([dataclasses.replace(back, pull=None)], {}, (), ())
    assert alone.detail.startswith("Merge pull request #5")


def test_request_has_the_day_of_its_alarm_and_the_rule_of_a_repetition() -> None:
    """An alarm may be earlier than the request that labels delayed."""
    alarm = asked("daily_fraud_rate")
    held = SuppressedRequest(
        request="r",
        cause="data-drift",
        raised_by="alarm",
        first_reason="few labels",
        reason="few labels",
        approval=1,
        first=at(5, 7),
        latest=at(5, 14),
    )
    found = {event.kind: event for event in time_line.events((), {}, [alarm], (), [held])}
    assert "The alarm was raised on 7 May 2026; the request came on 15 May 2026." in found["request"].detail
    (again,) = time_line.events((), {}, [asked("days_since_onset")], ())
    assert "a model is adapted to it again once its rows are of twice as many days" in again.detail
