"""The REST API: a module for each part of GitHub's reference, each a table of routes."""

from __future__ import annotations

from functools import wraps
from typing import Any

from ml.local.github.rest import checks, contents, gitdata, issues, meta, pulls, repositories
from ml.local.github.router import Call, Handler, Router


def locked(handler: Handler) -> Handler:
    """The handler, holding the server's records while it runs."""

    @wraps(handler)
    def run(call: Call) -> Any:
        with call.github.lock():
            return handler(call)

    return run


def register(router: Router) -> None:
    """Adds every route."""
    for part in (meta, repositories, gitdata, contents, pulls, issues, checks):
        for method, pattern, handler in part.ROUTES:
            router.register(method, f"/api/v3{pattern}", locked(handler))
