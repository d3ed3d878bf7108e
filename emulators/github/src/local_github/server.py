"""The GitHub emulator's server: Git over HTTP, REST, GraphQL and pages on loopback. Composes the other parts.

Bare repositories are on disk; all other records are in memory and written to journal.json at the end. Several servers
may run side by side. Workflows run only after `attach`.
"""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import threading
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from local_github.actions import routes as actions_routes
from local_github.actions.service import Actions
from local_github.api.faults import FaultLayer, FaultPlan, push_of_somebody
from local_github.api.graphql import endpoint as graphql
from local_github.api.rest import routes as rest
from local_github.api.router import ApiResponse, Router
from local_github.api.wsgi import Application
from local_github.clock import Clock, system_clock
from local_github.domain.backend import Backend
from local_github.domain.event_queue import EventQueue
from local_github.domain.events import OnEvent
from local_github.domain.in_memory_store import State
from local_github.domain.records import Repository
from local_github.domain.tokens import Level
from local_github.git import smart_http
from local_github.git.bare_repository import environment
from local_github.web import routes as web
from local_github.web import static_export

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_SHUTDOWN_POLL_SECONDS = 0.01
_log = logging.getLogger(__name__)


class _RequestHandler(WSGIRequestHandler):
    """HTTP/1.1 with persistent connections; logs requests at debug level instead of to stderr."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - Werkzeug's own name
        """Writes a request to the debug log."""
        _log.debug("%s: " + message, type, *args)

    def connection_dropped(self, error: BaseException, environ: WSGIEnvironment | None = None) -> None:
        """Ends the connection, which has no response; the next request needs another one."""
        del error, environ
        self.close_connection = True


class LocalGitHub:
    """The GitHub emulator at `url`.

    Args:
        folder: the bare repositories go to `folder`/repositories.
        port: 0 chooses a free port.
        on_event: called with every event, in order.
        user: merges pull requests on the pages, which have no login.
        clock: the time that records and commits carry.

    `faults` are the rules by which requests fail; there are none at first.

    >>> with LocalGitHub(folder) as github:  # doctest: +SKIP
    ...     github.create_repository("acme/model", seed=checkout)
    ...     token = github.token("alice")
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        on_event: OnEvent | None = None,
        user: str = "local-user",
        clock: Clock = system_clock,
    ) -> None:
        self.folder = folder
        self.state, self.events, self.router = State(folder, clock), EventQueue(on_event), Router()
        self.backend = Backend(self.state, self.events, page_user=user)
        self.failures: deque[ApiResponse] = deque()
        """Responses to send instead of the next API calls; see `fail_api`."""
        self.faults = FaultPlan()
        self._port = port
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        smart_http.register(self.router)
        rest.register(self.router)
        graphql.register(self.router)
        web.register(self.router, form_key=secrets.token_bytes(32))

    def attach(self, actions: Actions) -> None:
        """Lets `actions` run workflows on this server's events and serves its routes."""
        actions_routes.register(self.router, actions)
        self.events.listener, self.backend.run_source = actions.on_event, actions

    def start(self) -> Self:
        """Starts to serve."""
        self.folder.mkdir(parents=True, exist_ok=True)
        application = FaultLayer(
            Application(self.backend, self.router, self.failures), self.faults, race=self._push_of_somebody
        )
        server = make_server("127.0.0.1", self._port, application, threaded=True, request_handler=_RequestHandler)
        self.backend.url = f"http://127.0.0.1:{server.server_port}"
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(_SHUTDOWN_POLL_SECONDS,), name="local-github", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stops the server and writes the records to journal.json; the bare repositories stay."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None
        with self.backend.lock():
            journal = self.state.journal()
        (self.folder / "journal.json").write_text(json.dumps(journal, indent=1, sort_keys=True) + "\n", "utf-8")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """GITHUB_SERVER_URL: http://127.0.0.1:PORT."""
        return self.backend.url

    @property
    def api_url(self) -> str:
        """GITHUB_API_URL."""
        return self.backend.api_url

    @property
    def graphql_url(self) -> str:
        """GITHUB_GRAPHQL_URL."""
        return self.backend.graphql_url

    def create_repository(
        self, full_name: str, *, default_branch: str = "main", seed: Path | None = None, private: bool = False
    ) -> Repository:
        """Creates a repository; the current commit of the clone `seed` becomes its default branch (no event)."""
        with self.backend.lock():
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
        """Creates a token for `login`: a workflow's for github-actions[bot], an App's for any other …[bot]."""
        with self.backend.lock():
            self.state.user(login)
        return self.backend.tokens.mint(login, permissions=permissions, repository=repository)

    def revoke(self, token: str) -> None:
        """Revokes a token."""
        self.backend.tokens.revoke(token)

    def fail_api(self, times: int, *, status: int = 503, message: str = "Service Unavailable", **headers: str) -> None:
        """Makes the next `times` API calls fail, to test clients; Retry_After is the header Retry-After."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.failures.extend(ApiResponse(status=status, body={"message": message}, headers=named) for _ in range(times))

    def _push_of_somebody(self, path: str) -> None:
        with self.backend.lock():
            push_of_somebody(self.state, path)

    def export(self, folder: Path, commits: Collection[str] = ()) -> list[Path]:
        """Writes the pages of pull requests, issues, runs and `commits` as static files; returns the HTML files."""
        return static_export.write(self.backend, folder, commits)
