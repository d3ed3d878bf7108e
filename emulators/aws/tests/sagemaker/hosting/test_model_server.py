"""The model server over real HTTP: SageMaker's container contract, body limits, and invalid or parallel requests."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_server_process import TIMEOUT_SECONDS, ModelServer, running_server, write_handler

CSV = {"Content-Type": "text/csv"}
ECHO = """
import json
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    return json.dumps({"echo": body if isinstance(body, str) else body.decode()}), "application/json"
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server whose handler returns the request body."""
    folder = tmp_path_factory.mktemp("serving")
    with running_server(write_handler(folder / "model", ECHO), folder / "ready") as process:
        yield process


def test_ready_file_has_the_port(echo: ModelServer) -> None:
    """The port in the ready file answers /ping with 200 and an empty body."""
    assert echo.send("GET", "/ping") == (200, "application/json", b"")


def test_other_paths_and_methods_are_refused(echo: ModelServer) -> None:
    """Only GET /ping and POST /invocations are served."""
    assert echo.send("GET", "/invocations")[0] == 405
    assert echo.send("POST", "/ping", b"")[0] == 405
    assert echo.send("GET", "/")[0] == 404


def test_large_body_is_refused_while_it_is_read(echo: ModelServer) -> None:
    """A chunked body gets 413 at the limit, before its end is sent."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
        for _ in range(7):
            connection.sendall(chunk)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", echo.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert echo.healthy


@pytest.mark.parametrize(
    "noise",
    [b"\0\r\n\r\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST /invocations"],
)
def test_invalid_http_does_not_end_the_server(echo: ModelServer, noise: bytes) -> None:
    """The server survives invalid bytes and a client that disconnects."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(noise)
    assert echo.healthy


def test_parallel_requests_get_their_own_responses(echo: ModelServer) -> None:
    """Eight concurrent clients never get the response of another."""
    wrong: list[str] = []

    def client(name: int) -> None:
        for turn in range(40):
            text = f"{name}-{turn}," * (1 + turn * 5)
            if json.loads(echo.invoke(text, CSV)[2])["echo"] != text:
                wrong.append(text)

    threads = [threading.Thread(target=client, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_max_content_length_limits_the_body(tmp_path: Path) -> None:
    """A body of MAX_CONTENT_LENGTH bytes is accepted, one byte more is refused."""
    code = "def model_fn(d): return 1\ndef transform_fn(m, body, c, a): return str(len(body)), 'text/plain'\n"
    with running_server(
        write_handler(tmp_path / "model", code), tmp_path / "ready", MAX_CONTENT_LENGTH="1000"
    ) as process:
        kind = {"Content-Type": "application/octet-stream"}
        assert process.invoke(b"x" * 1000, kind)[2] == b"1000"
        assert process.invoke(b"x" * 1001, kind)[0] == 413
