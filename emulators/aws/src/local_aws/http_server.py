"""The HTTP server of the emulator, on loopback. Knows nothing of AWS.

Its connections are persistent, which Werkzeug's server does not support: opening one, and a thread, takes longer than
answering most calls.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import MotoRequestHandler
from werkzeug.serving import DechunkedInput, ThreadedWSGIServer

from local_aws.errors import EmulatorError

_POLL_SECONDS = 0.01  # how often the server checks for its end
_BLOCK_BYTES = 1 << 20
_WITHOUT_LENGTH = (204, 304)
"""Statuses whose responses have no body, RFC 9110."""
CLOSE = "local_aws.close"
"""In the WSGI environment: the application asks for the end of the connection after its response."""


class ConnectionDropped(Exception):
    """Raised by an application to close the connection without a response."""


def listen(port: int) -> ThreadedWSGIServer:
    """A server that listens on the port, 0 for a free one, and does not answer yet.

    Raises:
        EmulatorError: the port is taken.
    """
    try:
        return _Server(port)
    except (OSError, SystemExit) as error:  # werkzeug exits if the port is taken
        raise EmulatorError(
            f"the AWS emulator cannot listen on port {port}: it is in use; choose another, or 0 for a free one"
        ) from error


def serve(server: ThreadedWSGIServer, application: Callable[..., Iterable[bytes]]) -> None:
    """Answers requests with the WSGI application, in a thread, until the server's `shutdown`."""
    server.app = application
    threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="local-aws", daemon=True).start()


class _RequestHandler(MotoRequestHandler):  # type: ignore[misc] # mypy skips moto, see pyproject.toml
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    """A response is sent in one piece."""

    def run_wsgi(self) -> None:
        """Answers a request, and reads what the application left of it: the next one begins there."""
        environ = self.environ = self.make_environ()
        body = environ["wsgi.input"] = self._body(environ)
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            head.append((status, headers))

        try:
            chunks = self.server.app(environ, start_response)
            with contextlib.closing(chunks) if hasattr(chunks, "close") else contextlib.nullcontext():
                content = b"".join(chunks)
        except ConnectionDropped:
            self.close_connection = True
            return
        except Exception:
            self.server.log("error", f"Error on request:\n{traceback.format_exc()}")
            self.close_connection, content = True, b""
            start_response("500 Internal Server Error", [])
        self.close_connection = self.close_connection or CLOSE in environ
        self._send(*head[-1], content)
        while body.read(_BLOCK_BYTES):
            pass

    def _body(self, environ: dict[str, Any]) -> io.BufferedReader:
        if environ.get("wsgi.input_terminated"):
            return io.BufferedReader(DechunkedInput(self.rfile))  # type: ignore[arg-type] # it fills a memoryview too
        return io.BufferedReader(_Body(self.rfile, int(environ.get("CONTENT_LENGTH") or 0)))

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        if int(code) not in _WITHOUT_LENGTH and all(name.lower() != "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Sends 100 Continue at once: the client waits for it."""
        answered: bool = super().handle_expect_100()
        self.wfile.flush()
        return answered

    def finish(self) -> None:
        """Closes both sides of the connection; the client may have ended before it got the whole response."""
        with contextlib.closing(self.rfile), contextlib.suppress(ConnectionError):
            super().finish()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Logs nothing: the dispatcher logs every call."""


class _Body(io.RawIOBase):
    """The next `length` bytes of a connection; fewer if the client closes it."""

    def __init__(self, stream: Any, length: int) -> None:
        self._stream, self._left = stream, length

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As RawIOBase: 0 at the end."""
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


class _Server(ThreadedWSGIServer):
    """Ends its idle connections when it is closed, so that no client reaches an emulator that has stopped."""

    def __init__(self, port: int) -> None:
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__("127.0.0.1", port, lambda *_: [], _RequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts the thread of a connection."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Closes the port and ends the connections; a request that is being answered still gets its response."""
        super().server_close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client has closed it
                    connection.shutdown(socket.SHUT_RD)
