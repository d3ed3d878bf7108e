"""Runs one instance of an endpoint variant: extracts the model, starts its server, checks its health, restarts it once.

Knows the hosting contract (GET /ping, POST /invocations), nothing of endpoints, configurations or events.
"""

from __future__ import annotations

import io
import os
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from local_aws.errors import EmulatorError
from local_aws.processes.child_processes import ChildProcesses
from local_aws.sagemaker.hosting import dockerfile, managed_container

MAX_EXTRACTED_BYTES = 5 * 1024**3
_MAX_MEMBERS = 100_000
_INVOCATION_SECONDS = 60  # the limit of AWS
_POLL_SECONDS = 0.02

ServerCommand = Callable[[Path, Path], Sequence[str]]
"""The command that serves a model: (model folder, file that gets the port once /ping answers)."""


class InstanceUnhealthy(Exception):
    """The instance cannot serve; the message is the endpoint's FailureReason."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A production variant, resolved from its endpoint configuration; its instances act as the role `role_arn`."""

    name: str
    role_arn: str
    model_data_url: str
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    weight: float = 1.0
    instance_type: str = ""
    instance_count: int = 1
    health_timeout_seconds: float | None = None
    network_isolation: bool = False


def model_server_command(model: Path, ready: Path) -> Sequence[str]:
    """The command of this package's model server, which replaces the managed container's."""
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
    """Unpacks a model archive into `folder`; InstanceUnhealthy if it is invalid or would write outside of it."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as tar:
            size = 0
            for count, member in enumerate(tar):
                size += member.size
                if size > MAX_EXTRACTED_BYTES or count >= _MAX_MEMBERS:
                    raise InstanceUnhealthy(
                        f"Failed to extract model data: it unpacks to more than {MAX_EXTRACTED_BYTES} bytes"
                    )
                tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InstanceUnhealthy(f"Failed to extract model data: {error}") from error


class Instance:
    """A variant's server process. A server that dies is restarted once."""

    def __init__(
        self,
        variant: Variant,
        *,
        processes: ChildProcesses,
        folder: Path,
        environment: Mapping[str, str],
        command: ServerCommand,
        health_timeout_seconds: float,
        on_failure: Callable[[str], None],
        image: tuple[Path, Path] | None = None,
    ) -> None:
        """`folder` holds the extracted `model/`; `on_failure` gets the reason if the server dies again.

        `image` is the Dockerfile of the variant's image and its build context; without it `command` serves.
        """
        self._image = image
        self.variant, self._folder, self._processes, self._command = variant, folder, processes, command
        self._environment = {**environment, **variant.environment}
        self._timeout = variant.health_timeout_seconds or health_timeout_seconds
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._closed = self._restarted = False
        self._log = folder / "server.log"
        self._child: Any = None
        self._pool: urllib3.HTTPConnectionPool | None = None

    def start(self) -> None:
        """Starts the server and waits until it is healthy; otherwise ends it and raises InstanceUnhealthy."""
        self._refuse_failing_install()
        ready = self._folder / "port"
        ready.unlink(missing_ok=True)
        root = str(Path(__file__).parents[3])
        base = {"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder), "LANG": "C.UTF-8"}
        deadline = time.monotonic() + self._timeout
        if self._image is None:
            command, folder = self._command(self._folder / "model", ready), self._folder
            base |= {"PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}
        else:
            command, folder, own = self._lay_out(self._image, ready)
            base |= own
        with self._log.open("ab") as log:
            try:
                child = self._processes.start(
                    command, cwd=folder, environment={**base, **self._environment}, stdout=log
                )
            except OSError as error:
                raise InstanceUnhealthy(
                    f"The server of variant {self.variant.name} cannot be started: {error}"
                ) from error
        try:
            pool = self._wait_until_healthy(child, ready, deadline)
        except BaseException:
            self._processes.end(child, grace_seconds=0.5)
            raise
        with self._lock:
            self._child, self._pool = child, pool
            closed = self._closed
        if closed:
            self._processes.end(child)
            return
        threading.Thread(target=self._restart_on_exit, args=(child,), daemon=True).start()

    def _lay_out(self, image: tuple[Path, Path], ready: Path) -> tuple[Sequence[str], Path, dict[str, str]]:
        """The command of an image, its working directory and variables; its port is in `ready` before it listens.

        SageMaker's contract has the port 8080 and /opt/ml/model. Several endpoints run here at once, so the image must
        read SAGEMAKER_BIND_TO_PORT, as it must in inference pipelines, and SM_MODEL_DIR.
        """
        try:
            found = dockerfile.lay_out(*image, self._folder / "image")
        except EmulatorError as error:
            raise InstanceUnhealthy(f"The image of variant {self.variant.name} cannot be used: {error}") from error
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        ready.write_text(f"{port}\n", encoding="ascii")
        variables = {"SAGEMAKER_BIND_TO_PORT": str(port), "SM_MODEL_DIR": str(self._folder / "model")}
        return found.command("serve"), found.folder, {**found.environment, **variables}

    def _refuse_failing_install(self) -> None:
        """Fails as the managed container does if it cannot install the model's code without a network."""
        model, image = self._folder / "model", self.variant.image
        lines = managed_container.install_failure(image, self.variant.environment, model)
        if lines and self.variant.network_isolation:
            self._log.write_text("\n".join(lines) + "\n", encoding="utf-8")
            raise InstanceUnhealthy(self._failure_reason("the server ended with exit code 1"))

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """POSTs `body` to /invocations: status, headers, body; OSError or urllib3's HTTPError without a response."""
        pool = self._pool
        if pool is None:
            raise ConnectionError("the server is not running")
        response = pool.urlopen("POST", "/invocations", body=body, headers=dict(headers), retries=False)
        return response.status, response.headers, response.data

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

    def _wait_until_healthy(self, child: Any, ready: Path, deadline: float) -> urllib3.HTTPConnectionPool:
        pool = None
        while time.monotonic() < deadline and not self._closed:
            if child.poll() is not None:
                raise InstanceUnhealthy(self._failure_reason(f"the server ended with exit code {child.returncode}"))
            if pool is None and ready.exists() and (port := ready.read_text("ascii").strip()):
                pool = urllib3.HTTPConnectionPool(
                    "127.0.0.1", int(port), maxsize=64, timeout=urllib3.Timeout(connect=5, read=_INVOCATION_SECONDS)
                )
            if pool is not None and self._ping(pool):
                return pool
            time.sleep(_POLL_SECONDS)  # polls another process: there is no event to wait for
        raise InstanceUnhealthy(self._failure_reason(f"no 200 within {self._timeout:g} s"))

    @staticmethod
    def _ping(pool: urllib3.HTTPConnectionPool) -> bool:
        try:
            return pool.urlopen("GET", "/ping", retries=False, timeout=2.0).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False

    def _failure_reason(self, cause: str) -> str:
        lines = self._log.read_text("utf-8", errors="replace").strip().splitlines()
        last = f" Last log line: {lines[-1][:300]}" if lines else ""
        return (
            f"The primary container for production variant {self.variant.name} did not pass the ping health check. "
            f"Please check CloudWatch logs for this endpoint. ({cause}; {self._log}){last}"
        )

    def _restart_on_exit(self, child: Any) -> None:
        child.wait()
        with self._lock:
            if self._closed:
                return
            self._pool = None
            self._closed = died_again = self._restarted
            self._restarted = True
        self._processes.end(child)
        if died_again:
            self._on_failure(self._failure_reason(f"the server died twice, last with exit code {child.returncode}"))
            return
        try:
            self.start()
        except InstanceUnhealthy as error:
            with self._lock:
                self._closed = True
            self._on_failure(str(error))
