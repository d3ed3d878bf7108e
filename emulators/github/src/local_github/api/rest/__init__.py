"""The REST API: a module for each part of GitHub's reference, each a table of routes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from local_github.api.rest import (
    contents,
    git_database,
    issues,
    pull_requests,
    repositories,
    statuses_and_checks,
    user_and_settings,
)
from local_github.api.router import Call, Handler, Router


def locked(handler: Handler) -> Handler:
    """The handler, holding the server's records while it runs."""

    @wraps(handler)
    def run(call: Call) -> Any:
        with call.github.lock():
            return handler(call)

    return run


def register(router: Router) -> None:
    """Adds every route."""
    for part in (user_and_settings, repositories, git_database, contents, pull_requests, issues, statuses_and_checks):
        for method, pattern, handler in part.ROUTES:
            router.register(method, f"/api/v3{pattern}", locked(handler))
