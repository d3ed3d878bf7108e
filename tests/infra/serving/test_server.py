"""The serving image's own start command, parsed from its Dockerfile, under SageMaker's conditions but without Docker.

The files that the Dockerfile copies are laid out in a folder, and its command runs there with the environment of the
Dockerfile: a read-only model folder, another port than 8080, SIGTERM at the end.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from local_aws.sagemaker.hosting import dockerfile

from ml.model.scoring_responses import MAX_BODY
from tests.model.scoring_samples import DOCUMENT, ROOT, rows, scorer
from tests.waiting import wait_until

DOCKERFILE = ROOT / "infra/serving/Dockerfile"
CSV = {"Content-Type": "text/csv"}
SECONDS = 60.0


@dataclass
class Served:
    """A container that is none: its process, port and files."""

    process: subprocess.Popen[str]
    port: int
    image: dockerfile.LaidOut

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of one request on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def answers(self) -> bool:
        """Whether /ping returns 200; AssertionError with the log if the process has ended."""
        assert self.process.poll() is None, self.process.communicate()[1]
        try:
            return self.send("GET", "/ping")[0] == 200
        except OSError:
            return False


@contextmanager
def started(folder: Path, model_json: bytes | None = None) -> Iterator[Served]:
    """The image's container with a model, from its start; killed at the end if it still runs."""
    image = dockerfile.lay_out(DOCKERFILE, ROOT, folder / "image")
    model = folder / "model"
    model.mkdir()
    (model / "model.json").write_bytes(json.dumps(DOCUMENT).encode() if model_json is None else model_json)
    for path in (image.folder, model, model / "model.json"):
        path.chmod(path.stat().st_mode & ~0o222)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "FRAUDOPS_MODEL_VERSION": "0007", "SM_MODEL_DIR": str(model)}
    process = subprocess.Popen(
        image.command("serve"),
        cwd=image.folder,
        env={**environment, **image.environment, "SAGEMAKER_BIND_TO_PORT": str(port)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Served(process, port, image)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The image with a small model, answering."""
    with started(tmp_path_factory.mktemp("image")) as made:
        wait_until(lambda: made.answers)
        yield made


def body_of(X: np.ndarray) -> bytes:
    """Rows as CSV at full precision."""
    return "\n".join(",".join(map(repr, row)) for row in X.tolist()).encode()


@pytest.mark.parametrize("count", [1, 20, 4_000])
def test_scores_equal_the_scorer_to_the_last_bit(served: Served, count: int) -> None:
    """`fraudops score` uses the same scorer; a row alone, some rows and many give the same scores."""
    X = rows(count)
    status, body = served.send("POST", "/invocations", body_of(X), CSV)
    predictions = json.loads(body)["predictions"]
    assert status == 200
    assert [item["score"] for item in predictions] == scorer().score(X).tolist()
    assert {item["model_version"] for item in predictions} == {"0007"}


def test_six_megabytes_are_answered(served: Served) -> None:
    """A body of the largest size is scored; a byte more is refused; /ping is answered meanwhile and afterwards."""
    line = body_of(rows(1)) + b"\n"
    body = b"".join([line] * 20_000)
    full = line.rstrip(b"\n") + b"0" * (MAX_BODY - len(line) + 1)  # one row with a very long amount
    assert served.send("POST", "/invocations", body, CSV)[0] == 200
    assert len(full) == MAX_BODY
    assert served.send("POST", "/invocations", full, CSV)[0] == 400  # a field may have 131,072 characters
    assert served.send("POST", "/invocations", full + b"0", CSV)[0] == 413
    assert served.answers


def test_execution_parameters_are_answered(served: Served) -> None:
    """SageMaker asks for them before a batch transform."""
    status, body = served.send("GET", "/execution-parameters")
    assert (status, json.loads(body)["MaxPayloadInMB"]) == (200, 6)


def test_nothing_is_written(served: Served) -> None:
    """The file system of the container may be read-only: no byte code, no log, no temporary file beside the model."""
    wait_until(lambda: served.answers)
    assert not list(served.image.folder.rglob("__pycache__"))
    assert not [
        path for path in served.image.folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".lock")
    ]


def test_ping_is_answered_within_twice_the_time_of_the_imports(tmp_path: Path) -> None:
    """SageMaker gives two seconds for an answer: the start is that of Python and numpy, and little beside."""
    with started(tmp_path) as made:
        wait_until(lambda: made.answers, attempts=30_000, pause_seconds=0.002)
        with Path(f"/proc/{made.process.pid}/stat").open() as stat:
            fields = stat.read().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        imports = _processor_seconds(made.image.command()[0], "import numpy, uvicorn, uvloop, httptools")
    assert used < 2 * imports + 0.5


def _processor_seconds(python: str, program: str) -> float:
    before = os.times()
    subprocess.run([python, "-c", program], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    """Exit code 0, nothing on standard error, and a request that was under way is answered first."""
    with started(tmp_path) as made:
        wait_until(lambda: made.answers)
        body = body_of(rows(1))
        with socket.create_connection(("127.0.0.1", made.port), timeout=SECONDS) as connection:
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: {len(body)}"
            connection.sendall(f"{head}\r\n\r\n".encode() + body[:5])
            wait_until(lambda: made.answers)  # the server has read what came before
            made.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not _accepts(made.port))
            connection.sendall(body[5:])
            assert connection.recv(10_000).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        _, log = made.process.communicate(timeout=SECONDS)
        assert time.monotonic() - began < 30  # SageMaker kills it then
    assert (made.process.returncode, log) == (0, "")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=SECONDS).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("model_json", [b"{}", b"\x80\x04pickle"])
def test_invalid_model_ends_it_with_the_reason(tmp_path: Path, model_json: bytes) -> None:
    """Exit code 1 and one line, which SageMaker shows in CloudWatch Logs."""
    with started(tmp_path, model_json) as made:
        _, log = made.process.communicate(timeout=SECONDS)
    assert made.process.returncode == 1
    assert re.fullmatch(r"ERROR serving: cannot serve: model\.json: .*\n", log)


def test_image_runs_as_nobody_on_a_pinned_base() -> None:
    """The base image has no default, no user is root, and the packages come from a lock with hashes."""
    text = DOCKERFILE.read_text("utf-8")
    assert re.search(r"^ARG BASE_IMAGE$\nFROM \$\{BASE_IMAGE\}$", text, re.M)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.M)
    assert "--require-hashes" in text
    assert "EXPOSE 8080" in text


def test_lock_has_what_the_server_imports() -> None:
    """Each package is one of dev.lock in the same version, which is what the tests run with on Python 3.12."""
    pins = dict(re.findall(r"^([a-z0-9]+)==(\S+)", (ROOT / "requirements/serving-image.lock").read_text(), re.M))
    dev = (ROOT / "requirements/dev.lock").read_text()
    assert {"httptools", "numpy", "orjson", "uvicorn", "uvloop"} <= set(pins)
    assert all(re.search(rf"^{name}(\[.*\])?=={re.escape(version)}\b", dev, re.M) for name, version in pins.items())
