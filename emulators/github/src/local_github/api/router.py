"""Maps a request to its handler and gives the handler the caller, the permissions and the page of a list.

Patterns are Werkzeug rules over the whole path (`/api/v3/repos/<owner>/<name>/actions/runs/<int:run_id>`). A handler
takes a Call and returns JSON-able data, an ApiResponse, or None (204).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request

from local_github.domain.backend import Backend
from local_github.domain.emitter import Emitter
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.domain.tokens import Level, Principal
from local_github.errors import ApiError, not_found, unauthenticated
from local_github.serializers.base import Links, Serializer

T = TypeVar("T")


@dataclass(kw_only=True)
class ApiResponse:
    """A response other than 200 with JSON; `body` is JSON-able data, bytes, or chunks of bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"


Handler = Callable[["Call"], Any]


@dataclass
class Call:
    """A request with its caller, for a handler."""

    backend: Backend
    request: Request
    params: Mapping[str, Any]
    principal: Principal | None
    links: Links
    headers: dict[str, str] = field(default_factory=dict)
    """Headers of the response, such as Link."""

    @property
    def state(self) -> State:
        """The emulator's records."""
        return self.backend.state

    @property
    def emitter(self) -> Emitter:
        """Emits events."""
        return self.backend.emitter

    @cached_property
    def serializer(self) -> Serializer:
        """Serializes records with the addresses that the caller used."""
        return self.backend.serializer(self.links)

    @property
    def query(self) -> MultiDict[str, str]:
        """The query parameters."""
        return self.request.args

    @cached_property
    def body(self) -> dict[str, Any]:
        """The JSON object of the body, {} without a body; 400 if it is not an object."""
        if not isinstance(self.json, dict):
            raise ApiError(400, "Problems parsing JSON")
        return self.json

    @cached_property
    def json(self) -> Any:
        """The JSON value of the body, {} without a body; 400 if it is not JSON."""
        if not self.request.get_data(cache=True):
            return {}
        try:
            return json.loads(self.request.get_data())
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None

    @cached_property
    def repository(self) -> Repository:
        """The repository <owner>/<name> of the path; 404 if it does not exist or is hidden from the caller."""
        repository = self.state.find(self.params["owner"], self.params["name"].removesuffix(".git"))
        if repository is None or not self.can_see(repository):
            raise not_found()
        return repository

    def can_see(self, repository: Repository) -> bool:
        """Whether the caller may know that the repository exists."""
        reaches = self.principal is not None and self.principal.reaches(repository.full_name)
        return not repository.private or reaches

    @property
    def login(self) -> str:
        """The caller's login; 401 without a token."""
        return self.caller.login

    @property
    def caller(self) -> Principal:
        """The caller; 401 without a token."""
        if self.principal is None:
            raise unauthenticated()
        return self.principal

    def may(self, permission: str, level: Level = "write") -> bool:
        """Whether the caller has a permission in the path's repository; anyone may read a public one."""
        if level == "read" and not self.repository.private:
            return True
        return self.principal is not None and self.principal.may(self.repository.full_name, permission, level)

    def need(self, permission: str, level: Level = "write", *alternatives: str) -> Repository:
        """The path's repository; 404, 401, or 403 if neither the permission nor one of `alternatives` is granted.

        >>> call.need("issues", "write", "pull-requests")  # doctest: +SKIP
        """
        repository = self.repository
        if any(self.may(name, level) for name in (permission, *alternatives)):
            return repository
        raise self.caller.refusal()

    def need_public(self, permission: str, *alternatives: str) -> Repository:
        """Like `need` with write, but any user may do it in a public repository: open a pull request, comment."""
        if self.principal and not self.principal.is_bot and not self.repository.private:
            return self.repository
        return self.need(permission, "write", *alternatives)

    def page(self, items: Sequence[T]) -> list[T]:
        """The page of `items` that the query selects; sets the Link header."""
        size = min(max(self.query.get("per_page", 30, type=int), 1), 100)
        number = max(self.query.get("page", 1, type=int), 1)
        last = max(-(-len(items) // size), 1)
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        wanted = ["prev", "first"] if number > 1 else []
        wanted += ["next", "last"] if number < last else []
        if wanted:
            base = self.links.api + self.request.path.removeprefix("/api/v3")
            kept = [(key, value) for key, value in self.query.items(multi=True) if key not in {"page", "per_page"}]
            self.headers["Link"] = ", ".join(
                f'<{base}?{urlencode([*kept, ("per_page", size), ("page", pages[name])])}>; rel="{name}"'
                for name in wanted
            )
        return list(items[(number - 1) * size : number * size])


class Router:
    """The routes of one server. Routes may be added while it runs."""

    def __init__(self) -> None:
        self._routes: tuple[tuple[str, str], ...] = ()
        self._handlers: list[Handler] = []
        self._compiled: tuple[int, Map] | None = None

    def register(self, method: str, pattern: str, handler: Handler) -> None:
        """Adds a route; a GET route also serves HEAD."""
        self._handlers.append(handler)
        self._routes = (*self._routes, (method, pattern))

    def register_all(self, routes: Iterable[tuple[str, str, Handler]], prefix: str = "") -> None:
        """Adds several routes: (method, pattern, handler)."""
        for method, pattern, handler in routes:
            self.register(method, prefix + pattern, handler)

    def match(self, method: str, path: str) -> tuple[Handler, Mapping[str, Any]]:
        """The handler and the path parameters; 404 without a route or, as on GitHub, for a wrong method."""
        routes, compiled = self._routes, self._compiled
        if compiled is None or compiled[0] != len(routes):
            compiled = self._compiled = len(routes), _map(routes)
        try:
            place, params = compiled[1].bind("localhost").match(path, method=method)
        except (HTTPException, RequestRedirect):
            raise not_found() from None
        return self._handlers[place], params


@functools.lru_cache(maxsize=16)
def _map(routes: tuple[tuple[str, str], ...]) -> Map:
    """The compiled routes, whose endpoints are their places. Servers share them: compiling is slower than starting."""
    rules = [Rule(pattern, methods=[method], endpoint=place) for place, (method, pattern) in enumerate(routes)]
    return Map(rules, strict_slashes=False, merge_slashes=False, redirect_defaults=False)
