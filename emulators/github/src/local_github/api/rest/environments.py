"""Routes of environments: protection, branch policies, variables and secrets.

https://docs.github.com/rest/deployments/environments
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from local_github.api.rest import request_fields
from local_github.api.router import Call
from local_github.domain import environments
from local_github.domain.environment_records import DeploymentPolicy, Environment
from local_github.domain.tokens import Level
from local_github.errors import ApiError, custom, invalid, not_found
from local_github.serializers.base import node_id

Json = dict[str, Any]
_REPOSITORY = "/repos/<owner>/<name>"
_AT = f"{_REPOSITORY}/environments"
_ONE = f"{_AT}/<environment>"
_POLICIES = f"{_ONE}/deployment-branch-policies"
_REVIEWERS_LIMIT = 6


def _find(call: Call, permission: str = "actions", level: Level = "read") -> Environment:
    found = environments.find(call.need(permission, level), call.params["environment"])
    if found is None:
        raise not_found()
    return found


def _list(call: Call) -> Json:
    found = list(call.need("actions", "read").environments.values())
    return {"total_count": len(found), "environments": [to_json(call, item) for item in call.page(found)]}


def _get(call: Call) -> Json:
    return to_json(call, _find(call))


def to_json(call: Call, environment: Environment) -> Json:
    """An environment with its protection rules."""
    repository, path = call.repository, quote(environment.name, safe="")
    rules: list[Json] = []
    if environment.reviewers:
        rules.append(
            {
                "id": environment.id * 10 + 1,
                "node_id": node_id("GA", environment.id * 10 + 1),
                "type": "required_reviewers",
                "prevent_self_review": environment.prevent_self_review,
                "reviewers": reviewers_json(call, environment),
            }
        )
    restricted = environment.protected_branches or environment.custom_policies
    if restricted:
        number = environment.id * 10 + 2
        rules.append({"id": number, "node_id": node_id("GA", number), "type": "branch_policy"})
    return {
        "id": environment.id,
        "node_id": node_id("EN", environment.id),
        "name": environment.name,
        "url": call.serializer.api_url(repository, f"/environments/{path}"),
        "html_url": call.serializer.page_url(repository, f"/deployments/activity_log?environments_filter={path}"),
        "created_at": environment.created,
        "updated_at": environment.updated,
        "can_admins_bypass": environment.can_admins_bypass,
        "protection_rules": rules,
        "deployment_branch_policy": {
            "protected_branches": environment.protected_branches,
            "custom_branch_policies": environment.custom_policies,
        }
        if restricted
        else None,
    }


def reviewers_json(call: Call, environment: Environment) -> list[Json]:
    """The reviewers of an environment."""
    return [{"type": "User", "reviewer": call.serializer.user(login)} for login in environment.reviewers]


def _put(call: Call) -> Json:
    """Creates or replaces an environment: a setting that the body lacks is removed, as on GitHub."""
    repository = call.need("administration")
    reviewers, policy = _reviewers(call), _branch_policy(call)
    if call.body.get("wait_timer"):
        raise custom("Environment", "wait_timer: the GitHub emulator does not delay jobs; leave it out or send 0")
    prevent, bypass = _flag(call, "prevent_self_review", default=False), _flag(call, "can_admins_bypass", default=True)
    environment = environments.find_or_create(call.state, repository, call.params["environment"])
    environment.reviewers, environment.prevent_self_review = reviewers, prevent
    environment.protected_branches, environment.custom_policies = policy
    environment.can_admins_bypass = bypass
    environment.updated = call.state.now()
    return to_json(call, environment)


def _flag(call: Call, name: str, *, default: bool) -> bool:
    value = call.body.get(name, default)
    if not isinstance(value, bool):
        raise invalid("Environment", name)
    return value


def _reviewers(call: Call) -> list[str]:
    given = call.body.get("reviewers") or []
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise invalid("Environment", "reviewers")
    if len(given) > _REVIEWERS_LIMIT:
        raise custom("Environment", f"reviewers: at most {_REVIEWERS_LIMIT} may be given (got {len(given)})")
    by_id = {user.id: user.login for user in call.state.users.values()}
    logins = []
    for item in given:
        if item.get("type") == "Team":
            raise custom("Environment", "reviewers: the GitHub emulator has no teams; name users")
        if item.get("type") != "User" or item.get("id") not in by_id:
            raise custom("Environment", f"reviewers: no user has the id {item.get('id')!r}")
        logins.append(by_id[item["id"]])
    return logins


def _branch_policy(call: Call) -> tuple[bool, bool]:
    """(protected branches, custom policies); exactly one of them is true, or null stands for neither."""
    policy = call.body.get("deployment_branch_policy")
    if policy is None:
        return False, False
    names = ("protected_branches", "custom_branch_policies")
    values = [policy.get(name) if isinstance(policy, dict) else None for name in names]
    if not all(isinstance(value, bool) for value in values) or values[0] == values[1]:
        raise custom("Environment", f"deployment_branch_policy: {names[0]} and {names[1]} cannot have the same value")
    return bool(values[0]), bool(values[1])


def _delete(call: Call) -> None:
    environment = _find(call, "administration", "write")
    del call.repository.environments[environment.name.lower()]


# -- branch policies


def _policy_json(policy: DeploymentPolicy) -> Json:
    return {"id": policy.id, "node_id": node_id("DBP", policy.id), "name": policy.name, "type": policy.type}


def _policies(call: Call) -> Json:
    found = _find(call).policies
    return {"total_count": len(found), "branch_policies": [_policy_json(policy) for policy in call.page(found)]}


def _policy_create(call: Call) -> Json:
    environment = _find(call, "administration", "write")
    name = request_fields.text(call, "DeploymentBranchPolicy", "name")
    kind = request_fields.optional(call, "DeploymentBranchPolicy", "type") or "branch"
    if kind not in ("branch", "tag"):
        raise invalid("DeploymentBranchPolicy", "type")
    if not environment.custom_policies:
        raise not_found()  # GitHub answers so unless custom_branch_policies is set
    if any(policy.name == name and policy.type == kind for policy in environment.policies):
        raise ApiError(303, "The branch policy already exists")
    policy = DeploymentPolicy(id=call.state.new_id(), name=name, type="tag" if kind == "tag" else "branch")
    environment.policies.append(policy)
    return _policy_json(policy)


def _policy(call: Call, level: Level) -> tuple[Environment, DeploymentPolicy]:
    environment = _find(call, "actions" if level == "read" else "administration", level)
    for policy in environment.policies:
        if policy.id == call.params["policy"]:
            return environment, policy
    raise not_found()


def _policy_get(call: Call) -> Json:
    return _policy_json(_policy(call, "read")[1])


def _policy_update(call: Call) -> Json:
    policy = _policy(call, "write")[1]
    policy.name = request_fields.text(call, "DeploymentBranchPolicy", "name")
    return _policy_json(policy)


def _policy_delete(call: Call) -> None:
    environment, policy = _policy(call, "write")
    environment.policies.remove(policy)


ROUTES = [
    ("GET", _AT, _list),
    ("GET", _ONE, _get),
    ("PUT", _ONE, _put),
    ("DELETE", _ONE, _delete),
    ("GET", _POLICIES, _policies),
    ("POST", _POLICIES, _policy_create),
    ("GET", f"{_POLICIES}/<int:policy>", _policy_get),
    ("PUT", f"{_POLICIES}/<int:policy>", _policy_update),
    ("DELETE", f"{_POLICIES}/<int:policy>", _policy_delete),
]
