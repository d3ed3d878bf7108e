"""A server with scripted answers of GitHub over HTTP, for tests of the client; not a test itself."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import make_server

from ml.gitops.github_client import GitHub, RetryPolicy

RETRY_POLICY = RetryPolicy(
    attempts=4, backoff=0.01, max_backoff=0.05, secondary_wait=0.02, max_wait=5.0
)  # of tests: a thousandth of the real pauses
PREFIX = "/api/v3/repos/o/r"
Respond = Callable[[Request], Response]


def answer(body: Any, status: int = 200, **headers: str) -> Respond:
    """A JSON answer; `X_RateLimit_Reset` sets the header X-RateLimit-Reset."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: Response(json.dumps(body), status=status, headers=named, content_type="application/json")


def refusal(status: int, message: str, **headers: str) -> Respond:
    """An error in GitHub's format."""
    return answer({"message": message, "documentation_url": "https://docs.invalid"}, status, **headers)


@dataclass
class Script:
    """Answers by method and path (below the repository), each list in order; the last one repeats."""

    answers: dict[str, deque[Respond]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def on(self, method: str, path: str, *responds: Respond) -> Script:
        """Adds answers to `METHOD /path`."""
        self.answers.setdefault(f"{method} {path}", deque()).extend(responds)
        return self

    def count(self, method: str, path: str) -> int:
        """The number of requests of `METHOD /path`."""
        return sum((each[0], each[1]) == (method, path) for each in self.asked)

    def github(self, retry: RetryPolicy = RETRY_POLICY) -> GitHub:
        """The client of this server."""
        return GitHub(
            api_url=f"{self.url}/api/v3",
            server_url=self.url,
            repository="o/r",
            token="secret-token",
            retry=retry,
        )

    def __call__(self, request: Request) -> Response:
        path = request.path.removeprefix(PREFIX)
        self.asked.append((request.method, path, request.get_json(silent=True)))
        self.headers.append(dict(request.headers))
        responds = self.answers.get(f"{request.method} {path}")
        if not responds:
            return refusal(404, "Not Found")(request)
        return (responds.popleft() if len(responds) > 1 else responds[0])(request)


@contextmanager
def serving(script: Script, port: int = 0) -> Iterator[Script]:
    """Serves the script on loopback."""
    server = make_server("127.0.0.1", port, Request.application(script), threaded=True)
    script.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
