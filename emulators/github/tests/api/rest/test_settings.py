"""REST: repositories, variables, settings, dispatches and injected errors."""

from __future__ import annotations

from typing import Any

import pytest
from rest_calls import refusal, request


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


def test_environment_has_branches_and_reviewers(emulator: Any, clone: Any) -> None:
    """Branch patterns are added one by one and survive a later PUT; reviewers are set by id and listed as users."""
    token = emulator.token()
    bob = emulator.github.state.user("bob").id
    policy = {"protected_branches": False, "custom_branch_policies": True}
    assert request(emulator, "GET", "/environments/live/deployment-branch-policies", token=token)[0] == 404
    body = {"deployment_branch_policy": policy, "reviewers": [{"type": "User", "id": bob}]}
    assert request(emulator, "PUT", "/environments/live", body, token)[0] == 200
    path = "/environments/live/deployment-branch-policies"
    assert request(emulator, "POST", path, {"name": "main"}, token)[1]["name"] == "main"
    request(emulator, "PUT", "/environments/live", body, token)
    assert [item["name"] for item in request(emulator, "GET", path, token=token)[1]["branch_policies"]] == ["main"]
    found = request(emulator, "GET", "/environments/live", token=token)[1]
    assert found["deployment_branch_policy"] == policy
    kinds = {rule["type"]: rule for rule in found["protection_rules"]}
    assert set(kinds) == {"branch_policy", "required_reviewers"}
    assert [item["reviewer"]["login"] for item in kinds["required_reviewers"]["reviewers"]] == ["bob"]


def test_required_check_keeps_its_source(emulator: Any, clone: Any) -> None:
    """The App that may post a required status is returned as it was set."""
    token = emulator.token()
    checks = {"strict": False, "checks": [{"context": "ci", "app_id": 7}, {"context": "lint"}]}
    rule = {"required_status_checks": checks, "enforce_admins": False, "required_pull_request_reviews": None}
    request(emulator, "PUT", "/branches/main/protection", {**rule, "restrictions": None}, token)
    found = request(emulator, "GET", "/branches/main/protection", token=token)[1]["required_status_checks"]
    assert found["checks"] == [{"context": "ci", "app_id": 7}, {"context": "lint", "app_id": None}]
    request(emulator, "DELETE", "/branches/main/protection", token=token)


def test_permission_of_a_user_is_read(emulator: Any, clone: Any) -> None:
    """Every local user is an administrator."""
    assert emulator.api().get_collaborator_permission("bob") == "admin"
