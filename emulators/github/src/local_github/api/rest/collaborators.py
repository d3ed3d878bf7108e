"""Routes of collaborators, their permissions, and Apps by their slug.

Without any collaborator every user is an administrator; the first one makes the others strangers, except the owner.
https://docs.github.com/rest/collaborators/collaborators
"""

from __future__ import annotations

from typing import Any

from local_github.api.router import ApiResponse, Call
from local_github.errors import invalid, not_found
from local_github.serializers.base import node_id

Json = dict[str, Any]
_AT = "/repos/<owner>/<name>/collaborators"
_ROLES = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
"""Permission in a request → role."""
_ORDER = ["none", "read", "triage", "write", "maintain", "admin"]
_LEGACY = {"none": "none", "read": "read", "triage": "read", "write": "write", "maintain": "write", "admin": "admin"}


def _flags(role: str) -> Json:
    rank = _ORDER.index(role)
    return {permission: rank >= _ORDER.index(needed) for permission, needed in _ROLES.items()}


def _user_json(call: Call, login: str, role: str) -> Json:
    return call.serializer.user(login) | {"permissions": _flags(role), "role_name": role}


def _list(call: Call) -> list[Json]:
    repository = call.need("metadata", "read")
    roles = {repository.owner.lower(): "admin", **repository.collaborators}
    if not repository.collaborators:
        roles |= {user.login.lower(): "admin" for user in call.state.users.values() if user.kind == "User"}
    wanted = call.query.get("permission")
    lowest = _ROLES.get(wanted, "read") if wanted else "read"
    found = [login for login, role in roles.items() if _ORDER.index(role) >= _ORDER.index(lowest)]
    return [_user_json(call, login, roles[login]) for login in call.page(found)]


def _check(call: Call) -> None:
    if call.need("metadata", "read").permission_of(call.params["login"]) == "none":
        raise not_found()


def _put(call: Call) -> ApiResponse:
    """Adds a collaborator at once; GitHub sends an invitation first."""
    repository, login = call.need("administration"), call.params["login"]
    permission = call.body.get("permission", "push")
    if permission not in _ROLES:
        raise invalid("Collaborator", "permission")
    existed = login.lower() in repository.collaborators
    call.state.user(login)
    repository.collaborators[login.lower()] = _ROLES[permission]
    return ApiResponse(status=204 if existed else 201, body=None if existed else {"permissions": permission})


def _delete(call: Call) -> None:
    call.need("administration").collaborators.pop(call.params["login"].lower(), None)


def _permission(call: Call) -> Json:
    repository, login = call.need("metadata", "read"), call.params["login"]
    role = repository.permission_of(login)
    return {"permission": _LEGACY[role], "role_name": role, "user": _user_json(call, login, role)}


def _app(call: Call) -> Json:
    slug = call.params["slug"]
    if slug not in call.state.app_ids:
        raise not_found()
    number = call.state.app_ids[slug]
    return {"id": number, "slug": slug, "node_id": node_id("A", number), "name": slug}


ROUTES = [
    ("GET", _AT, _list),
    ("GET", f"{_AT}/<login>", _check),
    ("PUT", f"{_AT}/<login>", _put),
    ("DELETE", f"{_AT}/<login>", _delete),
    ("GET", f"{_AT}/<login>/permission", _permission),
    ("GET", "/apps/<slug>", _app),
]
