"""SIGTERM to the model server: requests in flight are answered, and a handler that never returns is ended."""

from __future__ import annotations

import signal
import socket
import threading
from pathlib import Path

import pytest
from aws_resources import wait_until
from model_server_process import TIMEOUT_SECONDS, running_server, wait_for_file, write_handler

HELD = """
import pathlib, time
def model_fn(model_dir):
    return pathlib.Path(model_dir)
def input_fn(body, content_type):
    return float(body)
def predict_fn(data, model):
    (model / "begun").touch()
    for _ in range(2000):  # the test is another process without an event, so its file is polled
        if (model / "release").exists():
            return data
        time.sleep(0.01)
    raise RuntimeError("the test did not release the request")
def output_fn(prediction, accept):
    return str(prediction), "text/plain"
"""


def refuses_connections(port: int) -> bool:
    """Whether nothing listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sigterm_finishes_requests_in_flight(tmp_path: Path) -> None:
    """A terminated server answers the request in flight and exits with 0; /ping is not delayed."""
    with running_server(write_handler(tmp_path / "model", HELD), tmp_path / "ready") as process:
        answers: list[tuple[int, str, bytes]] = []
        client = threading.Thread(target=lambda: answers.append(process.invoke("0.8", {"Content-Type": "text/plain"})))
        client.start()
        wait_for_file(tmp_path / "model/begun", process.process)
        assert process.healthy
        assert not answers
        process.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(process.port))  # the shutdown has begun, and the request is still held
        assert not answers
        (tmp_path / "model/release").touch()
        client.join()
        assert answers == [(200, "text/plain", b"0.8")]
        assert process.process.wait(TIMEOUT_SECONDS) == 0


def test_idle_server_closes_its_connections(tmp_path: Path) -> None:
    """Without a request in flight a terminated server closes kept connections and exits with 0."""
    with running_server(write_handler(tmp_path / "model", HELD), tmp_path / "ready") as process:
        with socket.create_connection(("127.0.0.1", process.port), timeout=TIMEOUT_SECONDS) as client:
            client.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            process.process.send_signal(signal.SIGTERM)
            assert client.recv(4096) == b""
        assert process.process.wait(TIMEOUT_SECONDS) == 0
        assert refuses_connections(process.port)


BUSY = """
import pathlib
def model_fn(model_dir):
    return model_dir
def transform_fn(model_dir, body, content_type, accept):
    if body == b"quick":
        return "done", "text/plain"
    pathlib.Path(model_dir, "begun").touch()
    while True:
        pass
"""


@pytest.mark.parametrize("on_main_thread", [False, True], ids=["thread", "main"])
def test_sigterm_ends_a_busy_server(tmp_path: Path, on_main_thread: bool) -> None:
    """A handler that never returns does not keep the process: after the grace period it ends and says why."""
    with running_server(write_handler(tmp_path / "model", BUSY), tmp_path / "ready", "--grace-seconds", "1") as process:
        for _ in range(30 if on_main_thread else 0):  # a quick handler is called on the main thread
            assert process.invoke("quick", {"Content-Type": "text/plain"})[0] == 200
        with socket.create_connection(("127.0.0.1", process.port), timeout=TIMEOUT_SECONDS) as client:
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nspin"
            )
            wait_for_file(tmp_path / "model/begun", process.process)
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(TIMEOUT_SECONDS) == 1
        assert process.process.stderr
        log = process.process.stderr.read()
        assert "did not finish before the end of the grace period" in log
