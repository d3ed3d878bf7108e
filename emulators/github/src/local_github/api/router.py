"""From a request to the function that answers it, with who calls and what they may do checked on the way.

Patterns are Werkzeug's rules over the whole path (`/api/v3/repos/<owner>/<name>/actions/runs/<int:run_id>`); a handler
takes a Call and returns JSON-able data, an Answer, or None (204). It knows nothing of what any route does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request

from local_github.domain.tokens import Level, Principal
from local_github.errors import ApiError, not_found

if TYPE_CHECKING:
    from local_github.domain.state import Repository
    from local_github.server import LocalGitHub

T = TypeVar("T")


@dataclass(kw_only=True)
class Answer:
    """A response that is more than 200 with JSON. `body` is JSON-able data, or bytes, or chunks of bytes."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json; charset=utf-8"


@dataclass(frozen=True)
class Links:
    """Where the caller reached us: the bases of the addresses in answers, without a slash at the end."""

    html: str
    api: str


Handler = Callable[["Call"], Any]


@dataclass
class Call:
    """One request, as a handler sees it."""

    github: LocalGitHub
    request: Request
    params: Mapping[str, Any]
    principal: Principal | None
    links: Links
    headers: dict[str, str] = field(default_factory=dict)
    """Headers to send with the answer, such as Link."""

    @property
    def query(self) -> MultiDict[str, str]:
        """The query's parameters."""
        return self.request.args

    @cached_property
    def body(self) -> dict[str, Any]:
        """The request's JSON object, {} where there is none; 400 where it is not one."""
        if not isinstance(self.json, dict):
            raise ApiError(400, "Problems parsing JSON")
        return self.json

    @cached_property
    def json(self) -> Any:
        """The request's JSON, {} where there is no body; 400 where it is none."""
        if not self.request.get_data(cache=True):
            return {}
        try:
            return json.loads(self.request.get_data())
        except ValueError:
            raise ApiError(400, "Problems parsing JSON") from None

    @cached_property
    def repository(self) -> Repository:
        """The repository that <owner>/<name> of the path names; 404 where the caller may not see it."""
        repository = self.github.state.find(self.params["owner"], self.params["name"].removesuffix(".git"))
        if repository is None or not self.sees(repository):
            raise not_found()
        return repository

    def sees(self, repository: Repository) -> bool:
        """Whether the caller may know that it exists."""
        reaches = self.principal is not None and self.principal.reaches(repository.full_name)
        return not repository.private or reaches

    @property
    def login(self) -> str:
        """Who calls; 401 where nobody does."""
        if self.principal is None:
            raise ApiError(401, "Requires authentication")
        return self.principal.login

    def may(self, permission: str, level: Level = "write") -> bool:
        """Whether the caller may do this in the path's repository; anyone may read a public one."""
        if level == "read" and not self.repository.private:
            return True
        return self.principal is not None and self.principal.may(self.repository.full_name, permission, level)

    def need(self, permission: str, level: Level = "write", *more: str) -> Repository:
        """The path's repository, or GitHub's refusal: 404, 401, or 403 where neither this nor any of `more` is granted.

        >>> call.need("issues", "write", "pull-requests")  # doctest: +SKIP
        """
        repository = self.repository
        if any(self.may(name, level) for name in (permission, *more)):
            return repository
        if self.principal is None:
            raise ApiError(401, "Requires authentication")
        raise self.principal.refusal()

    def need_public(self, permission: str, *more: str) -> Repository:
        """As `need` to write, but any user may do it in a public repository: open a pull request, comment."""
        if self.principal and not self.principal.is_bot and not self.repository.private:
            return self.repository
        return self.need(permission, "write", *more)

    def page(self, items: Sequence[T]) -> list[T]:
        """The page of `items` that the query asks for; the answer's Link header names the others."""
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
    """The routes of one server; more may be registered while it runs."""

    def __init__(self) -> None:
        self._map = Map(strict_slashes=False, merge_slashes=False, redirect_defaults=False)

    def register(self, method: str, pattern: str, handler: Handler) -> None:
        """Lets `handler` answer `method` (HEAD too, where it is GET) for paths of `pattern`."""
        self._map.add(Rule(pattern, methods=[method], endpoint=handler))

    def register_all(self, routes: Iterable[tuple[str, str, Handler]], prefix: str = "") -> None:
        """Registers many: (method, pattern, handler)."""
        for method, pattern, handler in routes:
            self.register(method, prefix + pattern, handler)

    def match(self, method: str, path: str) -> tuple[Handler, Mapping[str, Any]]:
        """The handler and the pattern's parameters; 404 where there is none, as GitHub says of a wrong method too."""
        try:
            endpoint, params = self._map.bind("localhost").match(path, method=method)
        except (HTTPException, RequestRedirect):
            raise not_found() from None
        return endpoint, params
