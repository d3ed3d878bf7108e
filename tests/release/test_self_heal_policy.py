"""When deploy.yml is started for a difference from Git: a table of every reason against it, and what holds for all."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ml.config.hand_over import DEPLOYED
from ml.diagnosis import served_model
from ml.release import self_heal_policy as policy
from ml.release.self_heal_policy import MAX_ATTEMPTS, Action, Attempt, Decision
from tests.release.self_heal_cases import comparison, difference, run


def attempt(*differences: Any, started: bool = True) -> Attempt:
    """An attempt to put these back."""
    parts = frozenset(policy.digest([each]) for each in differences)
    return Attempt(digest=policy.digest(differences), differences=parts, started=started, run=None)


def decided(found: Any = None, **changes: Any) -> Decision:
    """The decision about a comparison that speaks for a deployment, but for the changes."""
    given: dict[str, Any] = {"enabled": True, "overtaken": None, "runs": [run()], "attempts": []}
    return policy.decide(found or comparison(), **(given | changes))


ALARM = difference("alarm DriftAlarm", remedy="template")
OTHER = difference("order")
CASES: list[tuple[str, Action, dict[str, Any]]] = [
    ("a difference", "start", {}),
    ("no run before", "start", {"runs": []}),
    ("another difference, too", "start", {"found": comparison(difference(), ALARM)}),
    ("setting off", "off", {"enabled": False}),
    ("endpoint is being updated", "wait", {"found": comparison(unsettled="endpoint is Updating")}),
    ("nothing differs", "equal", {"found": comparison(ALARM)}),
    ("count is AWS's", "equal", {"found": comparison(difference("variant", remedy="autoscaling"))}),
    ("merge since", "wait", {"overtaken": "production.yaml was changed on main since"}),
    *(
        (f"run is {status}", "wait", {"runs": [run(2, status=status), run()]})
        for status in ("queued", "in_progress", "waiting", "pending", "requested")
    ),
    ("older run has not ended", "wait", {"runs": [run(2), run(1, status="waiting")]}),
    ("run ended since", "wait", {"runs": [run(minutes=1)]}),
    ("run ended in that second", "wait", {"runs": [run(minutes=0)]}),
    ("tried", "tried", {"attempts": [attempt(difference())]}),
    ("tried with more", "tried", {"attempts": [attempt(difference(), OTHER)]}),
    (
        "tried one by one",
        "tried",
        {"found": comparison(difference(), OTHER), "attempts": [attempt(difference()), attempt(OTHER)]},
    ),
    ("tried another", "start", {"attempts": [attempt(OTHER)]}),
    ("changed again otherwise", "start", {"attempts": [attempt(difference(detail="other"))]}),
    ("tried, and not started", "start", {"attempts": [attempt(difference(), started=False)]}),
    ("too often", "tried", {"attempts": [attempt(difference(detail=str(n))) for n in range(MAX_ATTEMPTS)]}),
    ("never deployed", "blocked", {"found": comparison(undeployed="the last deployment failed")}),
    (
        "never deployed, and tried",
        "tried",
        {"found": comparison(undeployed="it failed"), "attempts": [attempt(difference())]},
    ),
    ("package was edited", "blocked", {"found": comparison(difference(), difference("package", remedy="person"))}),
    (
        "rule is disabled",
        "blocked",
        {"found": comparison(difference(), difference("rule ApprovedRule", remedy="template"))},
    ),
]


@pytest.mark.parametrize(("action", "given"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_decision(action: Action, given: dict[str, Any]) -> None:
    """Each reason by itself; what it says is the action's."""
    found = decided(**given)
    assert found.action == action
    assert found.reason


def test_each_reason_against_it_is_enough() -> None:
    """Whatever else holds: nothing is started with the setting off, a moving endpoint, a run, a merge or an attempt."""
    against: dict[str, dict[str, Any]] = {
        "enabled": {"enabled": False},
        "overtaken": {"overtaken": "merged"},
        "runs": {"runs": [run(status="in_progress")]},
        "attempts": {"attempts": [attempt(difference(), OTHER)]},
        "found": {"found": comparison(difference(), OTHER, unsettled="Updating")},
    }
    for size in range(1, len(against) + 1):
        for chosen in itertools.combinations(against.values(), size):
            given: dict[str, Any] = {"found": comparison(difference(), OTHER)}
            for each in chosen:
                given |= each
            assert decided(**given).action != "start"
    assert decided(comparison(difference(), OTHER)).action == "start"


def test_decision_names_what_is_put_back_and_what_is_not() -> None:
    """Both, in the order of the comparison."""
    found = decided(comparison(ALARM, OTHER, difference()))
    assert [each.subject for each in found.differences] == ["order", "endpoint"]
    assert found.others == (ALARM,)
    assert found.reason == "deploy.yml puts back what Git says of order, endpoint"


def test_reason_quotes_the_run_that_has_not_ended() -> None:
    """Its state in words, and its page."""
    assert decided(runs=[run(7, status="in_progress")]).reason == (
        "a run of deploy.yml is in progress: https://git.invalid/o/r/actions/runs/7"
    )


def test_digest_depends_on_subjects_and_details_alone() -> None:
    """Not on their order; a value that moves from one to the other is another difference."""
    one, other = difference("order", "a"), difference("model", "b")
    assert policy.digest([one, other]) == policy.digest([other, one])
    assert policy.digest([one]) != policy.digest([difference("order", "b")])
    assert policy.digest([one]) != policy.digest([other])


def test_subjects_that_are_put_back_are_those_of_the_comparison() -> None:
    """The schema of the hand-over names them once more, because it imports no check."""
    assert DEPLOYED == served_model.SUBJECTS
