"""Routes of what a repository's workflows use: dispatches, variables, secrets, environments, permissions."""

from __future__ import annotations

from typing import Any

from local_github.api.rest import request_fields
from local_github.api.router import ApiResponse, Call
from local_github.errors import ApiError, invalid, not_found

_REPOSITORY = "/repos/<owner>/<name>"
_ACTIONS = f"{_REPOSITORY}/actions"
_POLICIES = "deployment-branch-policies"


def _repository_dispatch(call: Call) -> None:
    repository = call.need("contents")
    kind = request_fields.text(call, "RepositoryDispatch", "event_type")
    payload = call.body.get("client_payload", {})
    if len(kind) > 100:
        raise invalid("RepositoryDispatch", "event_type")
    if not isinstance(payload, dict) or len(payload) > 10:
        raise ApiError(422, "Invalid request.\n\nNo more than 10 properties are allowed in client_payload.")
    call.emitter.emit_on_default_branch(
        "repository_dispatch",
        repository,
        call.caller,
        action=kind,
        payload={"branch": repository.default_branch, "client_payload": payload},
    )


def _variable(call: Call, name: str) -> dict[str, Any]:
    moment = call.state.now()
    return {"name": name, "value": call.repository.variables[name], "created_at": moment, "updated_at": moment}


def _variables(call: Call) -> dict[str, Any]:
    values = call.need("variables", "read").variables
    shown = call.page(sorted(values))
    return {"total_count": len(values), "variables": [_variable(call, name) for name in shown]}


def _variable_get(call: Call) -> dict[str, Any]:
    name = call.params["variable"].upper()
    if name not in call.need("variables", "read").variables:
        raise not_found()
    return _variable(call, name)


def _variable_create(call: Call) -> ApiResponse:
    repository = call.need("variables")
    name = request_fields.text(call, "Variable", "name").upper()
    if name in repository.variables:
        raise ApiError(409, "Already exists - Variable already exists")
    repository.variables[name] = _value(call)
    return ApiResponse(status=201, body={})


def _value(call: Call) -> str:
    value = call.body.get("value")
    if not isinstance(value, str):
        raise invalid("Variable", "value", "missing_field")
    return value


def _variable_update(call: Call) -> None:
    name = call.params["variable"].upper()
    variables = call.need("variables").variables
    if name not in variables:
        raise not_found()
    variables[name] = _value(call)


def _variable_delete(call: Call) -> None:
    if call.need("variables").variables.pop(call.params["variable"].upper(), None) is None:
        raise not_found()


def _secrets(call: Call) -> dict[str, Any]:
    names = sorted(call.need("secrets", "read").secrets)
    moment = call.state.now()
    shown = [{"name": name, "created_at": moment, "updated_at": moment} for name in call.page(names)]
    return {"total_count": len(names), "secrets": shown}


def _secret_delete(call: Call) -> None:
    if call.need("secrets").secrets.pop(call.params["secret"].upper(), None) is None:
        raise not_found()


def _environment_put(call: Call) -> dict[str, Any]:
    repository = call.need("administration")
    name = call.params["environment"]
    policies = repository.environments.get(name, {}).get(_POLICIES, [])
    repository.environments[name] = {**call.body, _POLICIES: policies}
    return _environment(call, name)


def _environment(call: Call, name: str) -> dict[str, Any]:
    at = call.serializer.api_url(call.repository, f"/environments/{name}")
    rules = call.repository.environments[name]
    return {
        "id": 1 + list(call.repository.environments).index(name),
        "name": name,
        "url": at,
        "deployment_branch_policy": rules.get("deployment_branch_policy"),
        "protection_rules": _protection_rules(call, rules),
    }


def _protection_rules(call: Call, rules: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of an environment as GitHub lists them; reviewers are named by id when they are set."""
    found = [{"id": 1, "type": "branch_policy"}] if rules.get("deployment_branch_policy") else []
    users = {user.id: user for user in call.state.users.values()}
    wanted = [item for item in rules.get("reviewers") or [] if item["type"] == "User" and item["id"] in users]
    if wanted:
        reviewers = [{"type": "User", "reviewer": call.serializer.user(users[item["id"]].login)} for item in wanted]
        found.append({"id": 2, "type": "required_reviewers", "reviewers": reviewers})
    return found


def _policies(call: Call) -> dict[str, Any]:
    call.need("actions", "read")
    listed = _known_environment(call).get(_POLICIES, [])
    return {"total_count": len(listed), "branch_policies": call.page(listed)}


def _policy_create(call: Call) -> dict[str, Any]:
    call.need("administration")
    policies = _known_environment(call).setdefault(_POLICIES, [])
    policy = {"id": len(policies) + 1, "name": request_fields.text(call, "DeploymentBranchPolicy", "name")}
    policies.append({**policy, "type": call.body.get("type", "branch")})
    return dict(policies[-1])


def _environment_secrets(call: Call) -> dict[str, Any]:
    _environment_get(call)
    return {"total_count": 0, "secrets": []}


def _known_environment(call: Call) -> dict[str, Any]:
    found = call.repository.environments.get(call.params["environment"])
    if found is None:
        raise not_found()
    return found


def _environments(call: Call) -> dict[str, Any]:
    names = list(call.need("actions", "read").environments)
    return {"total_count": len(names), "environments": [_environment(call, name) for name in call.page(names)]}


def _environment_get(call: Call) -> dict[str, Any]:
    name = call.params["environment"]
    if name not in call.need("actions", "read").environments:
        raise not_found()
    return _environment(call, name)


def _workflow_permissions(call: Call) -> dict[str, Any]:
    settings = call.need("administration", "read").settings
    return {
        "default_workflow_permissions": settings["default_workflow_permissions"],
        "can_approve_pull_request_reviews": settings["can_approve_pull_request_reviews"],
    }


def _set_workflow_permissions(call: Call) -> None:
    settings = call.need("administration").settings
    for name in ("default_workflow_permissions", "can_approve_pull_request_reviews"):
        if name in call.body:
            settings[name] = call.body[name]


ROUTES = [
    ("POST", f"{_REPOSITORY}/dispatches", _repository_dispatch),
    ("GET", f"{_ACTIONS}/variables", _variables),
    ("POST", f"{_ACTIONS}/variables", _variable_create),
    ("GET", f"{_ACTIONS}/variables/<variable>", _variable_get),
    ("PATCH", f"{_ACTIONS}/variables/<variable>", _variable_update),
    ("DELETE", f"{_ACTIONS}/variables/<variable>", _variable_delete),
    ("GET", f"{_ACTIONS}/secrets", _secrets),
    ("DELETE", f"{_ACTIONS}/secrets/<secret>", _secret_delete),
    ("GET", f"{_ACTIONS}/permissions/workflow", _workflow_permissions),
    ("PUT", f"{_ACTIONS}/permissions/workflow", _set_workflow_permissions),
    ("GET", f"{_REPOSITORY}/environments", _environments),
    ("GET", f"{_REPOSITORY}/environments/<environment>", _environment_get),
    ("PUT", f"{_REPOSITORY}/environments/<environment>", _environment_put),
    ("GET", f"{_REPOSITORY}/environments/<environment>/{_POLICIES}", _policies),
    ("POST", f"{_REPOSITORY}/environments/<environment>/{_POLICIES}", _policy_create),
    ("GET", f"{_REPOSITORY}/environments/<environment>/secrets", _environment_secrets),
]
