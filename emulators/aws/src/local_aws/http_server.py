"""The HTTP server of the emulator, on loopback. Knows nothing of AWS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from local_aws.errors import EmulatorError

_POLL_SECONDS = 0.05  # how often the server checks for its end


def listen(port: int) -> Any:
    """A server that listens on the port, 0 for a free one, and does not answer yet.

    Raises:
        EmulatorError: the port is taken.
    """
    from moto.server import MotoRequestHandler
    from werkzeug.serving import make_server

    class QuietRequestHandler(MotoRequestHandler):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
        """Logs nothing: the dispatcher logs every call."""

        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
            """Drops werkzeug's log line."""

    try:
        return make_server("127.0.0.1", port, lambda *_: [], threaded=True, request_handler=QuietRequestHandler)
    except (OSError, SystemExit) as error:  # werkzeug exits if the port is taken
        raise EmulatorError(
            f"the AWS emulator cannot listen on port {port}: it is in use; choose another, or 0 for a free one"
        ) from error


def serve(server: Any, application: Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]) -> None:
    """Answers requests with the WSGI application, in a thread, until the server's `shutdown`."""
    server.app = application
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="local-aws", daemon=True).start()
