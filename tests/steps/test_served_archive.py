"""Tests of the archive served over HTTP by SageMaker's container contract."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml.model.scorer import Scorer
from tests.model.scoring_samples import ROOT, files, rows, unpack
from tests.waiting import wait_until

LINE = "3600.0,0.5,-1.25,9.99"
CSV = {"Content-Type": "text/csv"}
SECONDS = 20.0


@dataclass
class Served:
    """A serving process and where it listens."""

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


def start(model_dir: Path, ready: Path, **environment: str) -> subprocess.Popen[str]:
    """Starts the process as the endpoint manager does."""
    command = [
        sys.executable,
        "-m",
        "local_aws.sagemaker.hosting.model_server",
        "--model-dir",
        str(model_dir),
        "--ready-file",
        str(ready),
    ]
    base = {"PATH": os.environ["PATH"], "SAGEMAKER_PROGRAM": "inference.py"}
    return subprocess.Popen(command, cwd=ROOT, env=base | environment, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Waits until the process has created the file `path`; AssertionError with its log if it exits before."""

    def created() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return path.exists()

    wait_until(created)


@contextmanager
def served(model_dir: Path, ready: Path, **environment: str) -> Iterator[Served]:
    """A process that is ready, ended by SIGTERM afterwards."""
    process = start(model_dir, ready, **environment)
    try:
        wait_for(ready, process)
        yield Served(process, int(ready.read_text()))
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def handler(folder: Path, code: str, **more: str) -> Path:
    """A model folder with `code` as its inference.py and `more` modules beside it."""
    members = {"code/inference.py": code} | {f"code/{name}.py": text for name, text in more.items()}
    return unpack(folder, {name: text.encode() for name, text in members.items()})


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """This project's archive, served as SageMaker would with a model's environment."""
    folder = tmp_path_factory.mktemp("serving")
    model_dir = unpack(folder / "model", files())
    with served(
        model_dir,
        folder / "ready",
        SAGEMAKER_SUBMIT_DIRECTORY="/opt/ml/model/code",
        FRAUDOPS_MODEL_VERSION="7",
    ) as process:
        yield process


def test_ready_file_means_ping_returns_200(ours: Served) -> None:
    """The port in the ready file returns 200 with an empty body for /ping."""
    assert ours.send("GET", "/ping") == (200, "application/json", b"")


def test_scores_match_the_scorer_over_http(ours: Served) -> None:
    """A thousand rows, and one, get the scorer's scores and the approval's number."""
    scorer = Scorer.from_json(files()["model.json"])
    for count in (1, 1000):
        X = rows(count)
        status, kind, body = ours.invoke("\n".join(",".join(map(repr, row)) for row in X.tolist()), CSV)
        predictions = json.loads(body)["predictions"]
        assert (status, kind) == (200, "application/json")
        assert [item["score"] for item in predictions] == pytest.approx(scorer.score(X).tolist(), abs=1e-12)
        assert {item["model_version"] for item in predictions} == {"7"}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", CSV, 400),
        (b"1,2,nan,4", CSV, 400),
        (b"\xff\xfe\x00", CSV, 400),
        (b"\xff\xfe\x00", {"Content-Type": "text/csv; charset=utf-8"}, 400),
        (b"[" * 200_000, {"Content-Type": "application/json"}, 400),
        (b"x", {"Content-Type": "image/png"}, 415),
        (LINE.encode(), CSV | {"Accept": "image/png"}, 406),
        (b"1," * 5_000_000, CSV, 413),
    ],
)
def test_invalid_request_is_a_4xx_and_serving_continues(
    ours: Served, body: bytes, headers: dict[str, str], status: int
) -> None:
    """Every error is JSON with the reason, and the next request is served."""
    got, kind, answer = ours.invoke(body, headers)
    assert (got, kind) == (status, "application/json")
    assert json.loads(answer)["error"]["status"] == status
    assert ours.healthy
    assert ours.invoke(LINE, CSV)[0] == 200


def test_other_paths_and_methods_are_rejected(ours: Served) -> None:
    """Only GET /ping and POST /invocations are served."""
    assert ours.send("GET", "/invocations")[0] == 405
    assert ours.send("POST", "/ping", b"")[0] == 405
    assert ours.send("GET", "/")[0] == 404


def test_large_body_is_rejected_while_it_is_read(ours: Served) -> None:
    """A chunked body gets 413 when it passes the limit, before its end is sent."""
    with socket.create_connection(("127.0.0.1", ours.port), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        chunk = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
        for _ in range(7):
            connection.sendall(chunk)
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", ours.port), timeout=SECONDS) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: 999999999\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert ours.healthy


@pytest.mark.parametrize(
    "noise",
    [b"\0\r\n\r\n", b"GET\r\n\r\n", b"POST /invocations HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"POST /invocations"],
)
def test_invalid_http_does_not_stop_the_server(ours: Served, noise: bytes) -> None:
    """Garbage on a connection and a closed connection leave the server running."""
    with socket.create_connection(("127.0.0.1", ours.port), timeout=SECONDS) as connection:
        connection.sendall(noise)
    assert ours.healthy


def test_parallel_requests_get_their_responses(ours: Served) -> None:
    """Eight clients at once, each with its event id, never get another's response."""
    wrong: list[str] = []

    def client(name: int) -> None:
        for turn in range(40):
            event = f"{name}-{turn}"
            row = {"Time": 1, "V1": 2, "V2": 3, "Amount": 4, "event_id": event}
            body = ours.invoke(json.dumps([row] * (1 + turn * 5)), {"Content-Type": "application/json"})[2]
            if {item["event_id"] for item in json.loads(body)["predictions"]} != {event}:
                wrong.append(event)

    threads = [threading.Thread(target=client, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_handler_cannot_import_modules_outside_the_archive(tmp_path: Path) -> None:
    """A handler that imports a module missing from its archive does not start, although the project has it."""
    model_dir = handler(tmp_path / "model", "import ml.errors\ndef model_fn(d): return 1\n", ml="x = 1")
    process = start(model_dir, tmp_path / "ready")
    _, log = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "inference.py: ModuleNotFoundError" in log.splitlines()[-1]
    assert not (tmp_path / "ready").exists()
