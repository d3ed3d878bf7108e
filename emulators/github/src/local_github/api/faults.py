"""Which requests fail, and how: rules as data, matched by method, path and the number of the request.

Nothing here is random and nothing reads a clock: the same rules and the same requests give the same faults. The WSGI
application in front of the server applies them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from local_github.domain.in_memory_store import State
from local_github.git.output_parser import Person

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

FAULTS: Mapping[str, str] = {
    "secondary_limit": "403 with Retry-After: GitHub's secondary rate limit; nothing is done",
    "rate_limit": "429 with Retry-After; nothing is done",
    "server_error": "500; nothing is done",
    "unavailable": "503; nothing is done",
    "bad_credentials": "401: the token has expired; nothing is done",
    "not_visible": "404: what was just written is not visible yet; nothing is done",
    "reset": "the connection is closed before the request is handled",
    "lost_answer": "the request is handled, and the connection is closed without a response",
    "error_after": "the request is handled, and the response is 502",
    "truncated": "the request is handled, and the connection is closed after half of the body",
    "stale": "answered as the same request was before; waits for one that has a former response",
    "race": "just before the request is handled, somebody else pushes a commit to the default branch",
}
_LIMIT = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
_REFUSALS: Mapping[str, tuple[int, str, Mapping[str, str]]] = {
    "secondary_limit": (403, _LIMIT, {"Retry-After": "60"}),
    "rate_limit": (429, "API rate limit exceeded", {"Retry-After": "30"}),
    "server_error": (500, "Server Error", {}),
    "unavailable": (503, "Service Unavailable", {}),
    "bad_credentials": (401, "Bad credentials", {}),
    "not_visible": (404, "Not Found", {}),
    "error_after": (502, "Bad Gateway", {}),
}

Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One fault: it applies to `times` matching requests, from the `call`-th on, counted from 1.

    `method` and `path` are shell patterns; paths begin with /api/v3/repos/OWNER/NAME or, of Git, /OWNER/NAME.git.
    """

    fault: str
    method: str = "*"
    path: str = "*"
    call: int = 1
    times: int = 1

    def __post_init__(self) -> None:
        if self.fault not in FAULTS:
            raise ValueError(f"there is no fault {self.fault!r}; there are {sorted(FAULTS)}")
        if self.call < 1 or self.times < 1:
            raise ValueError(f"call and times begin at 1 (got {self.call}, {self.times})")

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is about such a request."""
        return fnmatchcase(method, self.method) and fnmatchcase(path, self.path)


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A fault that was applied: `call` is the number of the request among those that the rule matches."""

    fault: str
    method: str
    path: str
    call: int


class FaultPlan:
    """The rules of one server, with the count of the requests that each has matched; thread-safe."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] | None = None
        """Method and path of each request; recorded once it is set to a list."""
        self.set(rules)

    def set(self, rules: Iterable[Rule]) -> None:
        """Replaces the rules and begins to count again."""
        with self._lock:
            self._rules = list(rules)
            self._counts = [0] * len(self._rules)
            self.fired: list[Fired] = []

    @property
    def active(self) -> bool:
        """Whether there is any rule, or requests are recorded."""
        return bool(self._rules) or self.calls is not None

    def wants(self, method: str, path: str, fault: str) -> bool:
        """Whether a rule with that fault is about such requests."""
        return any(rule.fault == fault and rule.matches(method, path) for rule in self._rules)

    def take(self, method: str, path: str, *, without: str = "") -> Rule | None:
        """The rule whose fault the current request gets; None if it gets none.

        Every matching rule counts the request, except those whose fault is `without`; the first one that is due
        applies.
        """
        due: Rule | None = None
        with self._lock:
            if self.calls is not None:
                self.calls.append((method, path))
            for number, rule in enumerate(self._rules):
                if rule.fault == without or not rule.matches(method, path):
                    continue
                self._counts[number] += 1
                count = self._counts[number]
                if due is None and rule.call <= count < rule.call + rule.times:
                    due = rule
                    self.fired.append(Fired(fault=rule.fault, method=method, path=path, call=count))
        return due


class FaultLayer:
    """Passes requests to `application`, with the faults of `plan`.

    Args:
        race: called with the path of a request before a "race": pushes a commit of somebody else.
    """

    def __init__(self, application: Application, plan: FaultPlan, *, race: Callable[[str], None]) -> None:
        self._application, self._plan, self._race = application, plan, race
        self._former: dict[tuple[str, str, str], tuple[str, list[tuple[str, str]], bytes]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI entry point.

        Raises:
            ConnectionResetError: the fault is that the connection ends without a response.
        """
        if not self._plan.active:
            return self._application(environ, start_response)
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        key = (method, path, environ.get("QUERY_STRING", ""))
        rule = self._plan.take(method, path, without="" if key in self._former else "stale")
        fault = rule.fault if rule else ""
        if fault in _REFUSALS and fault != "error_after":
            return _refuse(fault, start_response)
        if fault == "reset":
            raise ConnectionResetError(fault)
        if fault == "race":
            self._race(path)
        response = self._former[key] if fault == "stale" else self._call(environ)
        if method == "GET" and self._plan.wants(method, path, "stale"):
            self._former[key] = response
        if fault == "lost_answer":
            raise ConnectionResetError(fault)
        if fault == "error_after":
            return _refuse(fault, start_response)
        status, headers, content = response
        if fault == "truncated" and method != "HEAD":
            headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            headers.append(("Content-Length", str(max(len(content), 1))))
            content = content[: len(content) // 2]
        start_response(status, headers)
        return [content]

    def _call(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
            del exc_info
            head.append((status, list(headers)))
            return lambda _: None

        content = b"".join(self._application(environ, begin))
        return *head[-1], content


def push_of_somebody(state: State, path: str) -> None:
    """Adds an empty commit to the default branch of the repository that the path of a request names."""
    owner, name = path.removeprefix("/api/v3/repos").split("/")[1:3]
    repository = state.find(owner, name.removesuffix(".git"))
    tip = repository.git.branch(repository.default_branch) if repository is not None else None
    if repository is None or tip is None:
        return
    tree = repository.git.text("rev-parse", f"{tip}^{{tree}}")
    somebody = Person(name="Somebody", email="somebody@example.invalid", date=state.now())
    commit = repository.git.write_commit(tree, [tip], "Change nothing", author=somebody)
    repository.git.update(f"refs/heads/{repository.default_branch}", commit, tip)


def _refuse(fault: str, start_response: StartResponse) -> Iterable[bytes]:
    code, message, extra = _REFUSALS[fault]
    body = json.dumps({"message": message}).encode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), **extra}
    start_response(f"{code} {HTTPStatus(code).phrase}", list(headers.items()))
    return [body]
