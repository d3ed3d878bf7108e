"""The local GitHub: one HTTP server with Git, REST, GraphQL and pages, its records, and the events it emits.

It serves loopback only. Repositories lie as bare ones in its folder; the rest is in memory and is written to
journal.json when it stops. Several may run side by side. It starts no workflow: `local_github.actions` listens.
"""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local_github.api.graphql import endpoint as graphql
from local_github.api.rest import register as register_rest
from local_github.api.router import Answer, Links, Router
from local_github.api.shapes import Shapes
from local_github.api.wsgi import Application
from local_github.domain import pushes
from local_github.domain.events import Event, NoRuns, OnEvent, RunSource
from local_github.domain.state import Repository, State
from local_github.domain.tokens import Level, Principal, Tokens
from local_github.git import smart_http
from local_github.git.bare_repository import environment
from local_github.web import routes

_POLL_SECONDS = 0.05  # how soon `stop` is noticed
_log = logging.getLogger(__name__)


class _Quiet(WSGIRequestHandler):
    """HTTP/1.1 with connections kept open, and no line on stderr for each request."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's own name
        """Hands requests to the debug log."""
        _log.debug("%s: " + message, type, *args)


class LocalGitHub:
    """A GitHub at `url`, with its repositories in `folder`/repositories.

    `user` is who merges on the pages, where nobody logs in.

    >>> with LocalGitHub(folder) as github:  # doctest: +SKIP
    ...     github.create_repository("acme/fraudops", seed=checkout)
    ...     token = github.token("alice")
    """

    def __init__(
        self, folder: Path, *, port: int = 0, on_event: OnEvent | None = None, user: str = "local-user"
    ) -> None:
        self.folder, self.on_event, self.user = folder, on_event, user
        self.run_source: RunSource = NoRuns()
        self.state, self.tokens, self.router = State(folder), Tokens(), Router()
        self.faults: deque[Answer] = deque()
        self.form_key = secrets.token_bytes(32)
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._records, self._depth = threading.RLock(), 0
        self._events: deque[Event] = deque()
        self._delivery = threading.Lock()
        self._pushes: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        smart_http.register(self.router)
        register_rest(self.router)
        graphql.register(self.router)
        routes.register(self.router)

    # -- running

    def start(self) -> LocalGitHub:
        """Begins to serve."""
        self.folder.mkdir(parents=True, exist_ok=True)
        server = make_server("127.0.0.1", self._port, Application(self), threaded=True, request_handler=_Quiet)
        self._server, self._port = server, server.server_port
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="local-github", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends, and writes the records to journal.json; the bare repositories stay."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None
        with self.lock():
            journal = self.state.journal()
        (self.folder / "journal.json").write_text(json.dumps(journal, indent=1, sort_keys=True) + "\n", "utf-8")

    def __enter__(self) -> LocalGitHub:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """GITHUB_SERVER_URL: http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """GITHUB_API_URL."""
        return f"{self.url}/api/v3"

    @property
    def graphql_url(self) -> str:
        """GITHUB_GRAPHQL_URL."""
        return f"{self.url}/api/graphql"

    def shapes(self, links: Links | None = None) -> Shapes:
        """Renders records, with addresses as this server's own unless the caller came by others."""
        return Shapes(self.state, links or Links(html=self.url, api=self.api_url))

    # -- set-up

    def create_repository(
        self, full_name: str, *, default_branch: str = "main", seed: Path | None = None, private: bool = False
    ) -> Repository:
        """A new repository; `seed` is a Git repository whose current commit becomes its default branch (no event)."""
        with self.lock():
            repository = self.state.create(full_name, default_branch=default_branch, private=private)
        if seed:
            command = ["git", "-C", str(seed), "push", "--quiet", str(repository.git.path)]
            subprocess.run(
                [*command, f"HEAD:refs/heads/{default_branch}"], env=environment(), check=True, capture_output=True
            )
        return repository

    def token(
        self, login: str, *, permissions: Mapping[str, Level] | None = None, repository: str | None = None
    ) -> str:
        """A token for `login`; a workflow's for github-actions[bot], an App's for any other …[bot]."""
        with self.lock():
            self.state.user(login)
        return self.tokens.mint(login, permissions=permissions, repository=repository)

    def revoke(self, token: str) -> None:
        """Ends a token."""
        self.tokens.revoke(token)

    def fail_api(self, times: int, *, status: int = 503, message: str = "Service Unavailable", **headers: str) -> None:
        """Lets the next `times` API calls fail, to see what a client does; Retry_After is the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.extend(Answer(status=status, body={"message": message}, headers=named) for _ in range(times))

    # -- changes and events

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the records; events emitted inside are delivered once the outermost holder lets go."""
        with self._records:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                outermost = self._depth == 0
        if outermost:
            self._deliver()

    @contextmanager
    def pushing(self, repository: Repository) -> Iterator[None]:
        """Holds a repository's pushes, so that events come in the order in which refs moved."""
        with self._records:
            lock = self._pushes[repository.full_name]
        with lock:
            yield

    def emit(self, event: Event) -> None:
        """Hands an event to `on_event`, in order, when no lock is held."""
        with self.lock():
            self._events.append(event)

    @property
    def delivering(self) -> bool:
        """Whether events are on their way to `on_event` still, in whichever thread."""
        return bool(self._events) or self._delivery.locked()

    def pushed(self, repository: Repository, ref: str, before: str, after: str, principal: Principal) -> None:
        """Tells of a ref that has moved, by a push or through the API."""
        with self.lock():
            pushes.pushed(self, repository, ref, before, after, principal=principal)

    def _deliver(self) -> None:
        # Whoever delivers takes what others queue meanwhile, so that order holds and nobody waits; the outer loop
        # looks again for what was queued between the last look and the release.
        while self._events and self._delivery.acquire(blocking=False):
            try:
                while self._events:
                    self._hand_over(self._events.popleft())
            finally:
                self._delivery.release()

    def _hand_over(self, event: Event) -> None:
        listener: Callable[[Event], None] | None = self.on_event
        if listener is None:
            return
        try:
            listener(event)
        except Exception:  # a listener's failure is not the failure of whoever pushed
            _log.exception("the listener failed on %s of %s", event.name, event.repository)

    # -- export

    def export(self, folder: Path, commits: Collection[str] = ()) -> list[Path]:
        """Writes the pages of pull requests, issues, runs and these commits as files that need no server.

        Gives the HTML files.
        """
        from local_github.web import static_export as export

        return export.write(self, folder, commits)
