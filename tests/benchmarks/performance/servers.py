"""Starts the model servers of the serving benchmark, each on one core: the project's, the plain one, SageMaker's."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from ml.model import artifact
from tests.benchmarks.performance.measured import ROOT, Bench, BenchFailed, cores, limited
from tests.waiting import wait_until

SERVER_CORE = cores()[0]
HERE = ROOT / "tests/benchmarks/performance"
STACK = ROOT / ".venv-serving-stack/bin/python"
"""Python 3.12 with SageMaker's own serving stack, which `make bench` installs where Python 3.12 is found."""
# sagemaker-containers has a name that Python 3.12 moved; AWS's Dockerfile changes the same line.
_SITE = "import collections, collections.abc\ncollections.Mapping = collections.abc.Mapping\n"


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    port: int
    process: subprocess.Popen[bytes]

    def processor_seconds(self) -> float:
        """What the server and its workers have used so far."""
        own = psutil.Process(self.process.pid)
        every = [each.cpu_times() for each in (own, *own.children(recursive=True))]
        return sum(each.user + each.system for each in every)


@contextmanager
def ours(folder: Path) -> Iterator[Server]:
    """The serving image's server with the model of `folder`."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'infra'}",
        "SM_MODEL_DIR": str(folder),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }
    with started([sys.executable, "-m", "serving.server", "serve"], environment) as process:
        wait_until(lambda: process.poll() is not None or answers(port))
        if process.poll() is not None:
            raise BenchFailed(f"serve: the model server ended with {process.returncode}")
        yield Server(port, process)


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def gunicorn(bench: Bench, folder: Path, options: tuple[str, ...]) -> Iterator[Server]:
    """The peer's server; gunicorn takes the listening socket, so no port is guessed."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        server = ["-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--log-level", "error"]
        environment = os.environ | limited(1) | {"PEER_PIPELINE": str(folder / "pipeline.joblib")}
        command: list[str | Path] = [bench.peers, *server, "--pythonpath", HERE, *options, "serve_peer:app"]
        with started(command, environment, listener.fileno()) as process:
            wait_until(lambda: process.poll() is not None or answers(port))
            yield Server(port, process)


@contextmanager
def managed(folder: Path) -> Iterator[Server]:
    """SageMaker's serving stack with the archive's handler, as the managed scikit-learn image starts it.

    sagemaker-containers behind gunicorn with gevent and one worker. The image's nginx in front of it is left out.
    """
    base = folder / "managed"
    for name, content in {**artifact.code_files(ROOT), "model.json": (folder / "model.json").read_bytes()}.items():
        (base / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "model" / name).write_bytes(content)
    (base / "sitecustomize.py").write_text(_SITE)
    code = base / "model/code"
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, (base, ROOT / "tests/serving_stack", code))),
            "PYTHONWARNINGS": "ignore",
            "SAGEMAKER_BASE_DIR": str(base),
            "SM_MODEL_DIR": str(base / "model"),
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": str(code),
        }
        server = ["-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--worker-class", "gevent"]
        command: list[str | Path] = [STACK, *server, "--workers", "1", "--log-level", "error", "handler:main"]
        with started(command, environment, listener.fileno()) as process:
            wait_until(lambda: process.poll() is not None or answers(port))
            yield Server(port, process)


@contextmanager
def started(
    command: list[str | Path], environment: dict[str, str], *inherited: int
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process on SERVER_CORE with these file descriptors, ended afterwards."""
    on_core = [sys.executable, HERE / "on_core.py", str(SERVER_CORE)]
    process = subprocess.Popen([*map(str, on_core), *map(str, command)], env=environment, pass_fds=inherited)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def answers(port: int) -> bool:
    """Whether /ping returns 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
