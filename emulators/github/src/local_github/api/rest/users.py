"""Routes of users and their repositories, of the API root and the rate limit."""

from __future__ import annotations

from typing import Any

from local_github.api.router import Call
from local_github.errors import not_found


def _root(call: Call) -> dict[str, Any]:
    return {"current_user_url": f"{call.links.api}/user", "rate_limit_url": f"{call.links.api}/rate_limit"}


def _meta(call: Call) -> dict[str, Any]:  # noqa: ARG001 - handlers take the call
    return {"verifiable_password_authentication": False, "installed_version": "3.20.0"}


def _user(call: Call) -> dict[str, Any]:
    caller = call.caller
    if caller.is_bot:
        raise caller.refusal()
    user = call.state.user(caller.login)
    return call.serializer.user(user.login) | {"name": user.login, "email": user.email, "plan": None}


def _user_named(call: Call) -> dict[str, Any]:
    user = call.state.users.get(call.params["login"].lower())
    if user is None:
        raise not_found()
    return call.serializer.user(user.login) | {"name": user.login, "email": None}


def _user_repositories(call: Call) -> list[dict[str, Any]]:
    owner = call.params.get("login") or call.login
    state, serializer = call.state, call.serializer
    seen = [r for r in state.repositories.values() if r.owner.lower() == owner.lower() and call.can_see(r)]
    return [serializer.repository(repository) for repository in call.page(seen)]


def _rate_limit(call: Call) -> dict[str, Any]:  # noqa: ARG001 - handlers take the call
    limit = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 4102444800}
    return {"resources": dict.fromkeys(("core", "search", "graphql"), limit), "rate": limit}


ROUTES = [
    ("GET", "/", _root),
    ("GET", "/meta", _meta),
    ("GET", "/user", _user),
    ("GET", "/user/repos", _user_repositories),
    ("GET", "/users/<login>", _user_named),
    ("GET", "/users/<login>/repos", _user_repositories),
    ("GET", "/orgs/<login>/repos", _user_repositories),
    ("GET", "/rate_limit", _rate_limit),
]
