"""Registers the routes of the REST API."""

from __future__ import annotations

from functools import wraps
from typing import Any

from local_github.api.rest import (
    branch_protection,
    collaborators,
    contents,
    deployments,
    environments,
    git_database,
    issues,
    labels,
    pull_requests,
    repositories,
    rulesets,
    settings,
    statuses_and_checks,
    users,
    variables_and_secrets,
)
from local_github.api.router import Call, Handler, Router

_MODULES = (
    users,
    settings,
    variables_and_secrets,
    environments,
    collaborators,
    branch_protection,
    rulesets,
    repositories,
    git_database,
    contents,
    pull_requests,
    issues,
    labels,
    statuses_and_checks,
    deployments,
)


def _locked(handler: Handler) -> Handler:
    """The handler, run with the records locked."""

    @wraps(handler)
    def run(call: Call) -> Any:
        with call.backend.lock():
            return handler(call)

    return run


def register(router: Router) -> None:
    """Adds every route."""
    for module in _MODULES:
        for method, pattern, handler in module.ROUTES:
            router.register(method, f"/api/v3{pattern}", _locked(handler))
