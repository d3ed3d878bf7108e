"""The model server as a process of its own, for tests over HTTP, and the folder of the model that it serves."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aws_resources import wait_until

TIMEOUT_SECONDS = 20.0


@dataclass
class ModelServer:
    """A serving process and its port."""

    process: subprocess.Popen[str]
    port: int

    def send(
        self, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, content type and body of one request on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
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


def start_server(model_dir: Path, ready: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
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
        command, cwd=Path(__file__).parents[1] / "src", env=base | environment, stderr=subprocess.PIPE, text=True
    )


def wait_for_file(path: Path, process: subprocess.Popen[str]) -> None:
    """Waits until the process has created the file `path`; AssertionError with its log if it exits before."""

    def created() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return path.exists()

    wait_until(created)


@contextmanager
def running_server(model_dir: Path, ready: Path, *options: str, **environment: str) -> Iterator[ModelServer]:
    """A process that is ready, ended by SIGTERM afterwards."""
    process = start_server(model_dir, ready, *options, **environment)
    try:
        wait_for_file(ready, process)
        yield ModelServer(process, int(ready.read_text()))
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT_SECONDS)


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes the files of a model archive into `folder`."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_handler(folder: Path, code: str, **more: str) -> Path:
    """A model folder with `code` as its inference.py and `more` modules beside it."""
    members = {"code/inference.py": code} | {f"code/{name}.py": text for name, text in more.items()}
    return write_files(folder, {name: text.encode() for name, text in members.items()})
