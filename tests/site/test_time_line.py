"""The time line: one event for each request, gate failure, move of the pointer and deployment."""

from __future__ import annotations

from ml.site import time_line
from tests.harness.aws.deployments import finished
from tests.harness.git.repositories import record
from tests.site.sites import at, period, site


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
