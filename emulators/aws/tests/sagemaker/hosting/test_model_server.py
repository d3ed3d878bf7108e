"""The model server over real HTTP: SageMaker's container contract, the archive's own code, and its robustness."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from aws_resources import wait_until

LINE = "3600.0,0.5,-1.25,9.99"
CSV = {"Content-Type": "text/csv"}
SECONDS = 20.0


@dataclass
class Served:
    """A serving process and its port."""

    process: subprocess.Popen[str]
    port: int

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of one request on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        finally:
            connection.close()

    def invoke(self, body: bytes | str, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
        """POST /invocations."""
        return self.send("POST", "/invocations", body, headers)

    @property
    def healthy(self) -> bool:
        """Whether /ping returns 200 and the process runs."""
        return self.process.poll() is None and self.send("GET", "/ping")[0] == 200


def start(model_dir: Path, ready: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Starts the process as the endpoint manager does."""
    command = [
        sys.executable,
        "-m",
        "local_aws.sagemaker.hosting.model_server",
        "--model-dir",
        str(model_dir),
        "--ready-file",
        str(ready),
        *options,
    ]
    base = {"PATH": os.environ["PATH"], "SAGEMAKER_PROGRAM": "inference.py"}
    return subprocess.Popen(
        command, cwd=Path(__file__).parents[3] / "src", env=base | environment, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Waits until the process has created the file `path`; AssertionError with its log if it exits before."""

    def created() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return path.exists()

    wait_until(created)


@contextmanager
def served(model_dir: Path, ready: Path, *options: str, **environment: str) -> Iterator[Served]:
    """A process that is ready, ended by SIGTERM afterwards."""
    process = start(model_dir, ready, *options, **environment)
    try:
        wait_for(ready, process)
        yield Served(process, int(ready.read_text()))
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def unpack(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes the files of a model archive into `folder`."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def handler(folder: Path, code: str, **more: str) -> Path:
    """A model folder with `code` as its inference.py and `more` modules beside it."""
    members = {"code/inference.py": code} | {f"code/{name}.py": text for name, text in more.items()}
    return unpack(folder, {name: text.encode() for name, text in members.items()})


ECHO = """
import json
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    return json.dumps({"echo": body if isinstance(body, str) else body.decode()}), "application/json"
"""


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose handler returns the request body."""
    folder = tmp_path_factory.mktemp("serving")
    with served(handler(folder / "model", ECHO), folder / "ready") as process:
        yield process


def test_ready_file_has_the_port(echo: Served) -> None:
    """The port in the ready file answers /ping with 200 and an empty body."""
    assert echo.send("GET", "/ping") == (200, "application/json", b"")


def test_other_paths_and_methods_are_refused(echo: Served) -> None:
    """Only GET /ping and POST /invocations are served."""
    assert echo.send("GET", "/invocations")[0] == 405
    assert echo.send("POST", "/ping", b"")[0] == 405
    assert echo.send("GET", "/")[0] == 404


def test_large_body_is_refused_while_it_is_read(echo: Served) -> None:
    """A chunked body gets 413 at the limit, before its end is sent."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
        for _ in range(7):
            connection.sendall(chunk)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", echo.port), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert echo.healthy


@pytest.mark.parametrize(
    "noise",
    [b"\0\r\n\r\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST /invocations"],
)
def test_invalid_http_does_not_end_the_server(echo: Served, noise: bytes) -> None:
    """The server survives invalid bytes and a client that disconnects."""
    with socket.create_connection(("127.0.0.1", echo.port), timeout=SECONDS) as connection:
        connection.sendall(noise)
    assert echo.healthy


def test_parallel_requests_get_their_own_responses(echo: Served) -> None:
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
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sigterm_finishes_requests_in_flight(tmp_path: Path) -> None:
    """A terminated server answers the request in flight and exits with 0; /ping is not delayed."""
    with served(handler(tmp_path / "model", HELD), tmp_path / "ready") as process:
        answers: list[tuple[int, str, bytes]] = []
        client = threading.Thread(target=lambda: answers.append(process.invoke("0.8", {"Content-Type": "text/plain"})))
        client.start()
        wait_for(tmp_path / "model/begun", process.process)
        assert process.healthy
        assert not answers
        process.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(process.port))  # the shutdown has begun, and the request is still held
        assert not answers
        (tmp_path / "model/release").touch()
        client.join()
        assert answers == [(200, "text/plain", b"0.8")]
        assert process.process.wait(SECONDS) == 0


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
    with served(handler(tmp_path / "model", BUSY), tmp_path / "ready", "--grace-seconds", "1") as process:
        for _ in range(30 if on_main_thread else 0):  # a quick handler is called on the main thread
            assert process.invoke("quick", {"Content-Type": "text/plain"})[0] == 200
        with socket.create_connection(("127.0.0.1", process.port), timeout=SECONDS) as client:
            client.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nspin"
            )
            wait_for(tmp_path / "model/begun", process.process)
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(SECONDS) == 1
        assert process.process.stderr
        log = process.process.stderr.read()
        assert "did not finish before the end of the grace period" in log


def test_handler_with_its_own_package_is_served(tmp_path: Path) -> None:
    """input_fn, predict_fn and output_fn in a folder of another name, with a context argument and its own `ml`."""
    code = """
from ml.own import double
def model_fn(model_dir, context):
    return {"dir": model_dir}
def input_fn(body, content_type):
    assert isinstance(body, str), type(body)  # as SageMaker's servers hand over JSON and CSV
    return [float(part) for part in body.split(",")]
def predict_fn(data, model):
    return double(data)
def output_fn(prediction, accept):
    return ",".join(map(str, prediction))
"""
    members = {
        "src/serve.py": code,
        "src/ml/__init__.py": "",
        "src/ml/own.py": "def double(x):\n    return [2 * v for v in x]\n",
    }
    model_dir = unpack(tmp_path / "model", {name: text.encode() for name, text in members.items()})
    environment = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/src"}
    with served(model_dir, tmp_path / "ready", **environment) as process:
        assert process.invoke("1,2", CSV | {"Accept": "text/csv"}) == (200, "text/csv", b"2.0,4.0")


def test_handler_cannot_import_from_pythonpath(tmp_path: Path) -> None:
    """A handler that imports a module that its archive lacks does not start, even if the caller has the module."""
    project = unpack(tmp_path / "project", {"callersproject.py": b""})
    model_dir = handler(tmp_path / "model", "import callersproject\ndef model_fn(d): return 1\n")
    process = start(model_dir, tmp_path / "ready", PYTHONPATH=str(project))
    _, log = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "inference.py: ModuleNotFoundError" in log.splitlines()[-1]
    assert not (tmp_path / "ready").exists()


def test_default_functions_serve_a_handler_with_model_fn_alone(tmp_path: Path) -> None:
    """JSON and CSV in and out by the container's default functions; a type that they do not know is 415 or 406."""
    code = """
import numpy as np
class Sum:
    def predict(self, X):
        return np.asarray(X).sum(axis=1)
def model_fn(model_dir):
    return Sum()
"""
    with served(handler(tmp_path / "model", code), tmp_path / "ready") as process:
        json_type = {"Content-Type": "application/json"}
        assert process.invoke("[[1, 2], [3, 4]]", json_type) == (200, "application/json", b"[3, 7]")
        assert process.invoke("1,2\n3,4", CSV | {"Accept": "text/csv"})[2] == b"3.0\n7.0\n"
        assert process.invoke("x", {"Content-Type": "image/png"})[0] == 415
        assert process.invoke("[[1]]", json_type | {"Accept": "image/png"})[0] == 406


def test_handler_errors_do_not_end_the_server(tmp_path: Path) -> None:
    """An exception, an exit, recursion and a wrong result are 500s; an error with a status keeps it."""
    code = """
import sys
class Teapot(Exception):
    status_code, message, phrase = 418, "short and stout", "x"
def model_fn(model_dir):
    return None
def transform_fn(model, body, content_type, accept):
    def deep():
        return deep()
    return {"raise": lambda: 1 / 0, "exit": lambda: sys.exit(3), "deep": deep, "list": lambda: [1],
            "teapot": lambda: (_ for _ in ()).throw(Teapot()), "fine": lambda: (b"ok", "text/plain")}[body.decode()]()
"""
    with served(handler(tmp_path / "model", code), tmp_path / "ready") as process:
        kind = {"Content-Type": "application/octet-stream"}
        for name, status in (
            ("raise", 500),
            ("exit", 500),
            ("deep", 500),
            ("list", 500),
            ("teapot", 418),
            ("fine", 200),
        ):
            assert process.invoke(name, kind)[0] == status, name
        assert b"ZeroDivisionError" in process.invoke("raise", kind)[2]
        assert process.healthy


@pytest.mark.parametrize(
    ("code", "environment", "message"),
    [
        ("def model_fn(d): raise OSError('no weights')", {}, "inference.py: OSError: no weights"),
        ("def predict_fn(d, m): return 1", {}, "must have a model_fn(model_dir)"),
        ("def model_fn(d): return 1\ndef transform_fn(a): return 1", {}, "transform_fn takes 1 arguments but 4"),
        ("x = (", {}, "SyntaxError"),
        ("x = 1", {"SAGEMAKER_PROGRAM": "absent.py"}, "no file 'absent.py'"),
        ("x = 1", {"SAGEMAKER_SUBMIT_DIRECTORY": "s3://bucket/code.tar.gz"}, "must be a folder of the model archive"),
        ("x = 1", {"MAX_CONTENT_LENGTH": "6MB"}, "MAX_CONTENT_LENGTH must be a number of bytes"),
    ],
)
def test_invalid_handler_ends_the_server_with_its_reason(
    tmp_path: Path, code: str, environment: dict[str, str], message: str
) -> None:
    """The process exits with 1, the last line on stderr has the reason, and no ready file exists."""
    process = start(handler(tmp_path / "model", code), tmp_path / "ready", **environment)
    _, log = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert message in json.loads(log.splitlines()[-1])["error"]
    assert not (tmp_path / "ready").exists()


def test_max_content_length_limits_the_body(tmp_path: Path) -> None:
    """A body of MAX_CONTENT_LENGTH bytes is accepted, one byte more is refused."""
    code = "def model_fn(d): return 1\ndef transform_fn(m, body, c, a): return str(len(body)), 'text/plain'\n"
    with served(handler(tmp_path / "model", code), tmp_path / "ready", MAX_CONTENT_LENGTH="1000") as process:
        kind = {"Content-Type": "application/octet-stream"}
        assert process.invoke(b"x" * 1000, kind)[2] == b"1000"
        assert process.invoke(b"x" * 1001, kind)[0] == 413
