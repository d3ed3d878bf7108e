"""REST: statuses, check runs, deployments, dispatches, variables, settings."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import refusal, request


def test_combined_status_uses_the_latest_of_each_context(emulator: Any, clone: Any) -> None:
    """All contexts must be successful; one failure makes the combined status a failure."""
    api = emulator.api()
    commit = api.get_commit("main")
    assert commit.get_combined_status().state == "pending"
    commit.create_status("pending", "https://example.invalid/run", "Training", "acme/training")
    commit.create_status("success", context="acme/training")
    assert commit.get_combined_status().state == "success"
    commit.create_status("error", context="other")
    combined = commit.get_combined_status()
    assert (combined.state, combined.total_count) == ("failure", 2)
    assert commit.get_statuses().totalCount == 3
    refusal(lambda: commit.create_status("great"), 422)
    refusal(lambda: commit.create_status("success", description="x" * 141), 422)


def test_check_runs_need_an_app(emulator: Any, clone: Any) -> None:
    """A user cannot create one; an App creates, completes and lists it."""
    sha = emulator.api().get_branch("main").commit.sha
    refusal(lambda: emulator.api().create_check_run("ci", sha), 403)
    api = emulator.api(emulator.workflow_token(checks="write"))
    run = api.create_check_run("ci", sha, status="in_progress")
    run.edit(conclusion="success", output={"title": "Fine", "summary": "All."})
    found = api.get_commit(sha).get_check_runs(check_name="ci")
    assert [(item.status, item.conclusion, item.output.title) for item in found] == [("completed", "success", "Fine")]


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


def test_repository_dispatch_emits_an_event(emulator: Any, clone: Any) -> None:
    """The type is the action, the payload is unchanged, and a workflow token is allowed."""
    payload = {"request": "'; rm -rf / #"}
    emulator.api(emulator.workflow_token(contents="write")).create_repository_dispatch("retrain", payload)
    (event,) = emulator.named("repository_dispatch")
    assert (event.action, event.payload["client_payload"], event.ref) == ("retrain", payload, "refs/heads/main")
    assert event.from_workflow_token
    assert request(emulator, "POST", "/dispatches", {"event_type": ""}, emulator.token())[0] == 422


def test_variables_have_upper_case_names(emulator: Any, clone: Any) -> None:
    """They are created, read, changed and deleted; a duplicate is 409."""
    api = emulator.api()
    variable = api.create_variable("model_region", "eu-west-1")
    assert emulator.github.state.find("acme", "fraud").variables == {"MODEL_REGION": "eu-west-1"}
    refusal(lambda: api.create_variable("MODEL_REGION", "x"), 409)
    variable.edit("eu-north-1")
    assert api.get_variable("MODEL_REGION").value == "eu-north-1"
    variable.delete()
    refusal(lambda: api.get_variable("MODEL_REGION"), 404)


def test_repository_settings_are_changed(emulator: Any, clone: Any) -> None:
    """Supported settings are stored; rebase merges are refused."""
    api = emulator.api()
    api.edit(allow_squash_merge=False, delete_branch_on_merge=True)
    assert (api.allow_squash_merge, api.delete_branch_on_merge) == (False, True)
    refusal(lambda: api.edit(allow_rebase_merge=True), 422)


@pytest.mark.parametrize(
    "name", ["acme/..", "acme/.", "../x", "acme/a b", "a/b/c", "acme/x.git", "acme/", "-x/y", "acme/fraud"]
)
def test_invalid_repository_names_are_refused(emulator: Any, name: str) -> None:
    """A name contains letters, digits, '-', '_' and '.' and must be unused."""
    from local_github.errors import ApiError

    with pytest.raises(ApiError):
        emulator.github.create_repository(name)


def test_fail_api_returns_errors(emulator: Any, clone: Any) -> None:
    """The next API calls fail with the given status and headers; Git is not affected."""
    emulator.github.fail_api(1)
    emulator.github.fail_api(1, status=403, message="You have exceeded a secondary rate limit.", Retry_After="1")
    assert clone.git("ls-remote", emulator.url(None)).returncode == 0
    assert request(emulator, "GET", "")[0] == 503
    status, answer, headers = request(emulator, "GET", "")
    assert (status, headers["Retry-After"]) == (403, "1")
    assert "secondary rate limit" in answer["message"]
    assert request(emulator, "GET", "")[0] == 200
