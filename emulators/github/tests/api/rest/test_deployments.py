"""Deployments over REST."""

from __future__ import annotations

from typing import Any

from rest_calls import refusal


def test_deployment_success_deactivates_the_previous_one(emulator: Any, clone: Any) -> None:
    """A new success makes the environment's last deployment inactive."""
    api = emulator.api(emulator.workflow_token(deployments="write"))
    first = api.create_deployment("main", environment="production", required_contexts=[], payload={"approval": 1})
    first.create_status("in_progress", description="Waiting")
    first.create_status("success", environment_url="http://example.invalid/")
    second = api.create_deployment("main", environment="production", required_contexts=[])
    second.create_status("success")
    assert [status.state for status in first.get_statuses()] == ["inactive", "success", "in_progress"]
    assert [item.id for item in api.get_deployments(environment="production")] == [second.id, first.id]
    assert first.payload == {"approval": 1}
    assert "Conflict" in refusal(lambda: api.create_deployment("main", required_contexts=["absent"]), 409)
    refusal(lambda: second.create_status("great"), 422)
