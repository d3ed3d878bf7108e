"""Settings of rulesets that are accepted, completed and refused."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import request

BASE: dict[str, Any] = {"name": "main", "target": "branch", "enforcement": "active"}


def test_ruleset_is_read_back_with_githubs_shape(emulator: Any) -> None:
    """Parameters that were left out have their defaults; only administrators see bypass actors."""
    actor = {"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}
    body = BASE | {
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "bypass_actors": [actor],
        "rules": [{"type": "pull_request", "parameters": {"require_code_owner_review": True}}, {"type": "deletion"}],
    }
    token = emulator.token()
    status, created, _ = request(emulator, "POST", "/rulesets", body, token)
    assert status == 201, created
    found = request(emulator, "GET", f"/rulesets/{created['id']}", token=token)[1]
    assert found["rules"][0]["parameters"]["require_code_owner_review"] is True
    assert found["rules"][0]["parameters"]["required_approving_review_count"] == 0
    assert found["bypass_actors"] == [actor]
    assert found["current_user_can_bypass"] == "pull_requests_only"
    assert (found["source_type"], found["source"]) == ("Repository", "acme/fraud")
    (listed,) = request(emulator, "GET", "/rulesets", token=token)[1]
    assert (listed["id"], "rules" in listed) == (created["id"], False)
    reader = emulator.token("bob", permissions={"metadata": "read"}, repository="acme/fraud")
    assert "bypass_actors" not in request(emulator, "GET", f"/rulesets/{created['id']}", token=reader)[1]
    assert request(emulator, "PUT", f"/rulesets/{created['id']}", {"enforcement": "disabled"}, token)[0] == 200
    assert request(emulator, "POST", "/rulesets", body, token)[0] == 422
    assert request(emulator, "DELETE", f"/rulesets/{created['id']}", token=token)[0] == 204
    assert request(emulator, "GET", f"/rulesets/{created['id']}", token=token)[0] == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rules": [{"type": "merge_queue", "parameters": {"grouping_strategy": "HEADGREEN"}}]},
            "grouping_strategy must be ALLGREEN and min_entries_to_merge 1",
        ),
        (
            {"rules": [{"type": "merge_queue", "parameters": {"min_entries_to_merge": 2}}]},
            "grouping_strategy must be ALLGREEN and min_entries_to_merge 1",
        ),
        (
            {"rules": [{"type": "merge_queue", "parameters": {"merge_method": "REBASE"}}]},
            "has MERGE and SQUASH (got 'REBASE')",
        ),
        (
            {"rules": [{"type": "merge_queue", "parameters": {"check_response_timeout_minutes": 0}}]},
            "check_response_timeout_minutes must be from 1 to 360 (got 0)",
        ),
        ({"rules": [{"type": "required_signatures"}]}, "does not enforce 'required_signatures'"),
        (
            {"rules": [{"type": "pull_request", "parameters": {"required_review_thread_resolution": True}}]},
            "has no review threads",
        ),
        ({"rules": [{"type": "pull_request", "parameters": {"other": 1}}]}, "pull_request.other"),
        (
            {"rules": [{"type": "required_status_checks", "parameters": {"required_status_checks": [{}]}}]},
            "must have context",
        ),
        (
            {"rules": [{"type": "pull_request", "parameters": {"allowed_merge_methods": ["octopus"]}}]},
            "must name one or more of merge, squash, rebase",
        ),
        (
            {"rules": [{"type": "pull_request", "parameters": {"allowed_merge_methods": []}}]},
            "must name one or more of merge, squash, rebase",
        ),
        ({"target": "tag"}, "rulesets of branches only"),
        ({"enforcement": "evaluate"}, "has no 'evaluate'"),
        ({"bypass_actors": [{"actor_type": "Team", "actor_id": 1}]}, "knows Integration"),
        ({"bypass_actors": [{"actor_type": "Integration", "actor_id": 1}]}, "no App with the id 1 is installed"),
        ({"conditions": {"ref_name": {"include": "main"}}}, "lists include and exclude"),
        ({"name": ""}, "name is required"),
    ],
)
def test_what_is_not_enforced_is_refused(emulator: Any, change: dict[str, Any], message: str) -> None:
    """The answer is 422 and names the member."""
    status, body, _ = request(emulator, "POST", "/rulesets", BASE | {"rules": []} | change, emulator.token())
    assert status == 422
    assert message in str(body["errors"])
