"""Each invariant holds for a sound state, and fails for the state that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ml.playground.chaos import invariants
from ml.playground.chaos.invariants import AT_THE_END, Invariant, State, VerbRun

SOUND = State(
    pointer=2,
    pointers=(1, 2),
    packages={1: "Rejected", 2: "Approved", 3: "PendingManualApproval"},
    approved={1: "a", 2: "b"},
    endpoint_status="InService",
    served_digest="b",
    served_names=("configuration-2", "model-2"),
    endpoints=("production",),
    configurations=("configuration-1", "configuration-2"),
    models=("model-1", "model-2"),
    deployed_names=("configuration-1", "model-1", "configuration-2", "model-2"),
    answers=("20260301T060000Z-data-drift",),
    open_approvals=(3,),
    requests=("20260301T060000Z-data-drift", "20260401T060000Z-data-drift"),
    runs=(VerbRun(verb="deploy", error="CloudError: gone", reached=False), VerbRun(verb="deploy")),
)
BROKEN: list[tuple[Invariant, dict[str, Any]]] = [
    (invariants.one_approved_package, {"packages": {1: "Approved", 2: "Approved"}}),
    (invariants.one_approved_package, {"packages": {1: "Approved", 2: "Rejected"}}),
    (invariants.one_approved_package, {"packages": {1: "Rejected", 2: "Rejected"}}),
    (invariants.endpoint_serves_pointer, {"served_digest": "a"}),
    (invariants.endpoint_serves_pointer, {"endpoint_status": "Updating"}),
    (invariants.endpoint_serves_pointer, {"pointer": None}),
    (invariants.endpoint_serves_approved_digest, {"served_digest": "c"}),
    (invariants.append_only_records, {"rewritten": ("model-config/approvals/0001.yaml",)}),
    (invariants.no_orphans, {"endpoints": ("production", "other")}),
    (invariants.no_orphans, {"configurations": ("configuration-3",)}),
    (invariants.no_orphans, {"models": ("model-3",)}),
    (invariants.requests_answered_once, {"answers": ("x", "x")}),
    (invariants.one_open_approval, {"open_approvals": (3, 4)}),
    (invariants.one_request_per_cause, {"answers": ()}),
    (invariants.no_green_run_that_failed, {"runs": (VerbRun(verb="train", reached=False),)}),
    (invariants.failures_are_reported_errors, {"runs": (VerbRun(verb="t", error="KeyError", expected_error=False),)}),
    (invariants.reruns_repair, {"runs": (VerbRun(verb="train", error="CloudError"),)}),
]


def test_sound_state_violates_nothing() -> None:
    """A state after a failed deployment and its rerun violates no invariant; neither does an empty platform."""
    assert invariants.check(SOUND, AT_THE_END) == []
    assert invariants.check(State(), AT_THE_END) == []


@pytest.mark.parametrize(("invariant", "changes"), BROKEN)
def test_invariant_fails_for_what_it_is_about(invariant: Invariant, changes: dict[str, Any]) -> None:
    """The invariant reports a violation, with its name."""
    broken = replace(SOUND, **changes)
    assert invariant(broken)
    assert any(text.startswith(f"{invariant.__name__}: ") for text in invariants.check(broken, AT_THE_END))


def test_every_invariant_has_a_state_that_breaks_it() -> None:
    """No invariant of the end is untested, and what always holds also holds at the end."""
    assert {each for each, _ in BROKEN} == set(AT_THE_END)
    assert set(invariants.ALWAYS) < set(AT_THE_END)
