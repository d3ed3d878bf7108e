"""One variant of an endpoint as a process: its model on disk, its server, its health, its end.

Knows the hosting contract (GET /ping, POST /invocations) and nothing of endpoints, configurations or events.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from local_aws.child_processes import Processes

MAX_EXTRACTED_BYTES = 5 * 1024**3
_MAX_MEMBERS = 100_000
_INVOCATION_SECONDS = 60  # a container that takes longer has failed, as on AWS
_POLL_SECONDS = 0.02

Command = Callable[[Path, Path], Sequence[str]]
"""The command that serves: (model folder, file to write the port to once /ping answers)."""


class Unhealthy(Exception):
    """The variant cannot serve; the message is an endpoint's FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a production variant runs, resolved from its endpoint configuration."""

    name: str
    model_data_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    weight: float = 1.0
    instance_count: int = 1
    health_timeout_seconds: float | None = None


def serving_command(model: Path, ready: Path) -> Sequence[str]:
    """The project's own server, which stands for the managed container's."""
    return [
        sys.executable,
        "-m",
        "local_aws.sagemaker.hosting.model_server",
        "--model-dir",
        str(model),
        "--ready-file",
        str(ready),
    ]


def extract(archive: bytes, folder: Path) -> None:
    """Unpacks a model archive into `folder`; Unhealthy where it is none or would write outside of it."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            size = 0
            for count, member in enumerate(tar):
                size += member.size
                if size > MAX_EXTRACTED_BYTES or count >= _MAX_MEMBERS:
                    raise Unhealthy(
                        f"Failed to extract model data: it unpacks to more than {MAX_EXTRACTED_BYTES} bytes"
                    )
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Unhealthy(f"Failed to extract model data: {error}") from error


class Host:
    """A variant's server process. A server that dies is started once more, then given up."""

    def __init__(
        self,
        variant: Variant,
        *,
        processes: Processes,
        folder: Path,
        environment: Mapping[str, str],
        command: Command,
        health_timeout_seconds: float,
        gave_up: Callable[[str], None],
    ) -> None:
        """`folder` holds the extracted `model/`; `gave_up` hears the reason when the server died for good."""
        self.variant, self._folder, self._processes, self._command = variant, folder, processes, command
        self._environment = {**environment, **variant.environment}
        self._timeout = variant.health_timeout_seconds or health_timeout_seconds
        self._gave_up = gave_up
        self._lock = threading.Lock()
        self._closed = self._restarted = False
        self._log = folder / "server.log"
        self._child: Any = None
        self._pool: urllib3.HTTPConnectionPool | None = None

    def start(self) -> None:
        """Starts the server and waits until it is healthy; Unhealthy, with nothing left running, where it is not."""
        ready = self._folder / "port"
        ready.unlink(missing_ok=True)
        root = str(Path(__file__).parents[3])
        base = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder), "LANG": "C.UTF-8", "PYTHONPATH": root}
        deadline = time.monotonic() + self._timeout
        with self._log.open("ab") as log:
            try:
                child = self._processes.start(
                    self._command(self._folder / "model", ready),
                    cwd=self._folder,
                    environment={**base, "PYTHONDONTWRITEBYTECODE": "1", **self._environment},
                    stdout=log,
                )
            except OSError as error:
                raise Unhealthy(f"The server of variant {self.variant.name} cannot be started: {error}") from error
        try:
            pool = self._await_health(child, ready, deadline)
        except BaseException:
            self._processes.end(child, grace_seconds=0.5)
            raise
        with self._lock:
            self._child, self._pool = child, pool
            closed = self._closed
        if closed:
            self._processes.end(child)
            return
        threading.Thread(target=self._watch, args=(child,), daemon=True).start()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """POSTs `body` to /invocations: status, headers, body; OSError or urllib3's HTTPError without an answer."""
        pool = self._pool
        if pool is None:
            raise ConnectionError("the server is not running")
        answer = pool.urlopen("POST", "/invocations", body=body, headers=dict(headers), retries=False)
        return answer.status, answer.headers, answer.data

    def close(self) -> None:
        """Ends the server."""
        with self._lock:
            self._closed = True
            child, pool = self._child, self._pool
            self._pool = None
        if child is not None:
            self._processes.end(child)
        if pool is not None:
            pool.close()

    def _await_health(self, child: Any, ready: Path, deadline: float) -> urllib3.HTTPConnectionPool:
        pool = None
        while time.monotonic() < deadline and not self._closed:
            if child.poll() is not None:
                raise Unhealthy(self._reason(f"the server ended with exit code {child.returncode}"))
            if pool is None and ready.exists() and (port := ready.read_text("ascii").strip()):
                pool = urllib3.HTTPConnectionPool(
                    "127.0.0.1", int(port), maxsize=64, timeout=urllib3.Timeout(connect=5, read=_INVOCATION_SECONDS)
                )
            if pool is not None and self._ping(pool):
                return pool
            time.sleep(_POLL_SECONDS)  # between two looks at another process: there is no event to wait for
        raise Unhealthy(self._reason(f"no 200 within {self._timeout:g} s"))

    @staticmethod
    def _ping(pool: urllib3.HTTPConnectionPool) -> bool:
        try:
            return pool.urlopen("GET", "/ping", retries=False, timeout=2.0).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    def _reason(self, what: str) -> str:
        lines = self._log.read_text("utf-8", errors="replace").strip().splitlines()
        last = f" Its last words: {lines[-1][:300]}" if lines else ""
        return (
            f"The primary container for production variant {self.variant.name} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. ({what}; {self._log}){last}"
        )

    def _watch(self, child: Any) -> None:
        child.wait()
        with self._lock:
            if self._closed:
                return
            self._pool = None
            self._closed = again = self._restarted
            self._restarted = True
        self._processes.end(child)
        if again:
            self._gave_up(self._reason(f"the server died twice, last with exit code {child.returncode}"))
            return
        try:
            self.start()
        except Unhealthy as error:
            with self._lock:
                self._closed = True
            self._gave_up(str(error))
