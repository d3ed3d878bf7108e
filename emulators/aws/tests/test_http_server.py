"""The HTTP server: persistent connections, which end with it, and bodies that the application does not read."""

from __future__ import annotations

import gc
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest
from local_aws import http_server
from local_aws.errors import EmulatorError

CHUNKED = {"Transfer-Encoding": "chunked"}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answers with the method, or as the path says."""
    path = environ["PATH_INFO"]
    if path == "/fails":
        raise RuntimeError("a defect")
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    if path == "/echo":
        content = environ["wsgi.input"].read()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [content[:1], content[1:]]
    start_response("200 OK", [("Content-Length", str(len(environ["REQUEST_METHOD"])))])
    return [environ["REQUEST_METHOD"].encode()]


@pytest.fixture
def server() -> Iterator[Any]:
    """A server with the application."""
    made = http_server.listen(0)
    http_server.serve(made, application)
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def client(server: Any) -> Iterator[http.client.HTTPConnection]:
    """A connection to the server."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)) as made:
        yield made


def answer(client: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Status and body of a response."""
    client.request(method, path, body, headers, encode_chunked=not isinstance(body, bytes | None))
    response = client.getresponse()
    return response.status, response.read()


@pytest.mark.parametrize(
    ("first", "answered"),
    [
        (("GET", "/"), (200, b"GET")),
        (("HEAD", "/"), (200, b"")),
        (("DELETE", "/empty"), (204, b"")),
        (("POST", "/echo", b"abc"), (200, b"abc")),
        (("POST", "/unread", b"x" * 3_000_000), (200, b"POST")),
        (("POST", "/echo", iter([b"ab", b"c"])), (200, b"abc")),
        (("POST", "/unread", iter([b"ab", b"c"])), (200, b"POST")),
    ],
    ids=["get", "head", "no-content", "body", "unread-body", "chunks", "unread-chunks"],
)
def test_connection_is_used_again(client: http.client.HTTPConnection, first: Any, answered: Any) -> None:
    """The next request on the connection is answered, whatever the application read of the body."""
    client.connect()
    connection = client.sock
    assert answer(client, *first, **({} if isinstance(first[-1], str | bytes) else CHUNKED)) == answered
    assert answer(client, "PUT", "/") == (200, b"PUT")
    assert client.sock is connection


def test_client_that_waits_before_it_sends_the_body_is_told_to_go_on(server: Any) -> None:
    """100 Continue is sent before the body is there; boto3 waits for it with an object of S3."""
    with closing(socket.create_connection(("127.0.0.1", server.server_port), timeout=10)) as client:
        client.sendall(b"PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.recv(1000).endswith(b"\r\n\r\nabc")


def test_defect_of_the_application_closes_the_connection(client: http.client.HTTPConnection) -> None:
    """It is a 500, after which the state of the connection is unknown."""
    client.request("GET", "/fails")
    response = client.getresponse()
    assert (response.status, response.getheader("Connection"), response.read()) == (500, "close", b"")


def test_client_that_asks_for_it_gets_its_connection_closed(client: http.client.HTTPConnection) -> None:
    """Clients without persistent connections read until the end."""
    client.request("GET", "/", headers={"Connection": "close"})
    assert client.getresponse().getheader("Connection") == "close"


def test_idle_connections_end_with_the_server(client: http.client.HTTPConnection) -> None:
    """A client of a stopped emulator gets no answer from it."""
    server = http_server.listen(0)
    http_server.serve(server, application)
    with closing(http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)) as stale:
        assert answer(stale, "GET", "/") == (200, b"GET")
        server.shutdown()
        server.server_close()
        assert stale.sock is not None
        assert stale.sock.recv(1) == b""


def test_client_that_ends_before_the_response_leaves_no_connection(capfd: pytest.CaptureFixture[str]) -> None:
    """A client that was killed is no error of the server, and its socket is closed."""
    asked, ended = threading.Event(), threading.Event()

    def late(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked.set()
        assert ended.wait(10)
        start_response("200 OK", [])
        return [b"late"]

    server, before = http_server.listen(0), set(threading.enumerate())
    http_server.serve(server, late)
    with closing(socket.create_connection(("127.0.0.1", server.server_port), timeout=10)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closing it is a reset
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert asked.wait(10)
    ended.set()
    server.shutdown()
    server.server_close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    gc.collect()  # an open socket would be a ResourceWarning, which is an error
    assert capfd.readouterr().err == ""


def test_taken_port_is_named(server: Any) -> None:
    """The error says which port is in use."""
    with pytest.raises(EmulatorError, match=f"port {server.server_port}: it is in use"):
        http_server.listen(server.server_port)
