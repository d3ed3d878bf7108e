"""Runs one Lambda execution environment: a process with the handler loaded, kept warm between events.

Starts the process, sends events and enforces the timeout. Which function it belongs to is decided in
`local_aws.awslambda.functions`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_aws.awslambda.runtime import END_OF_LOG
from local_aws.clock import Clock, timestamp
from local_aws.processes.child_processes import ChildProcesses

_INIT_SECONDS = 10  # AWS's limit for loading a function, in addition to its timeout
_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


@dataclass(frozen=True)
class InvocationResult:
    """The result of an invocation: the handler's JSON `payload`, or AWS's `error` document, and the printed lines."""

    request_id: str
    payload: str | None
    error: dict[str, Any] | None
    lines: tuple[str, ...]


def sdk_folder(folder: Path) -> Path:
    """A folder with the AWS SDK and its dependencies alone: the packages that Lambda's image has beside the code."""
    import boto3

    packages = Path(boto3.__file__).parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SDK:
        link = folder / name
        if not link.exists():
            with contextlib.suppress(FileExistsError):  # another function's start created it
                link.symlink_to(packages / name)
    return folder


class ExecutionEnvironment:
    """A warm process of one version of one function."""

    def __init__(
        self,
        processes: ChildProcesses,
        *,
        clock: Clock,
        task: Path,
        packages: Path,
        handler: str,
        environment: Mapping[str, str],
    ) -> None:
        self._processes, self._clock = processes, clock
        script = Path(__file__).with_name("runtime.py")
        base = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "TZ": ":UTC", "PYTHONDONTWRITEBYTECODE": "1"}
        self._child = processes.start(
            [sys.executable, "-I", "-S", "-B", "-u", str(script), str(task), str(packages), handler],
            cwd=task,
            environment={**base, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._pipes: tuple[Any, Any, Any] = (self._child.stdin, self._child.stdout, self._child.stderr)
        self._responses: queue.Queue[bytes] = queue.Queue()
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()
        self._log_ends: queue.Queue[None] = queue.Queue()
        self._ready = False
        self._readers = [
            threading.Thread(target=target, daemon=True) for target in (self._read_responses, self._read_lines)
        ]
        for thread in self._readers:
            thread.start()

    def invoke(
        self, event: Any, *, arn: str, timeout_seconds: float, request_id: str | None = None
    ) -> InvocationResult:
        """Runs the handler on `event`. After an error that ends the process (`dead`), the environment is useless."""
        request_id = request_id or str(uuid.uuid4())
        if not self._ready:
            self._ready = bool(self._receive(_INIT_SECONDS))
        simulated = self._clock.simulated  # may change between events
        request = {
            "id": request_id,
            "event": event,
            "arn": arn,
            "timeout_seconds": timeout_seconds,
            "now": timestamp(simulated) if simulated else None,
        }
        with contextlib.suppress(BrokenPipeError):  # the missing response is the error
            self._pipes[0].write(json.dumps(request).encode() + b"\n")
            self._pipes[0].flush()
        response = self._receive(timeout_seconds)
        if not response:
            return self._no_response(request_id, timed_out=response is None, timeout_seconds=timeout_seconds)
        document = json.loads(response)
        return InvocationResult(request_id, document.get("result"), document.get("error"), self._take_lines())

    def _receive(self, timeout_seconds: float) -> bytes | None:
        """The next response; b"" if the process has ended, None after the timeout."""
        try:
            return self._responses.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._child.poll() is not None

    def close(self) -> None:
        """Ends the process."""
        self._processes.end(self._child, grace_seconds=0.2)
        for thread in self._readers:  # they end with their pipes, unless a descendant holds these open
            thread.join(1)
        for pipe in self._pipes:
            with contextlib.suppress(OSError, ValueError):  # broken or closed already: what is left in it has no reader
                pipe.close()

    def _no_response(self, request_id: str, *, timed_out: bool, timeout_seconds: float) -> InvocationResult:
        self._processes.end(self._child, grace_seconds=0)
        if timed_out:
            message = f"RequestId: {request_id} Error: Task timed out after {timeout_seconds:.2f} seconds"
            return InvocationResult(
                request_id, None, {"errorType": "Sandbox.Timedout", "errorMessage": message}, self._take_lines()
            )
        code = self._child.returncode
        reason = f"exit status {code}" if code >= 0 else f"signal {-code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {reason}"
        return InvocationResult(
            request_id, None, {"errorType": "Runtime.ExitError", "errorMessage": message}, self._take_lines()
        )

    def _take_lines(self) -> tuple[str, ...]:
        with contextlib.suppress(queue.Empty):  # a descendant of the handler may hold the pipe open
            self._log_ends.get(timeout=2)
        with self._lines_lock:
            lines, self._lines = tuple(self._lines), []
        return lines

    def _read_responses(self) -> None:
        for line in self._pipes[1]:
            self._responses.put(line)
        self._responses.put(b"")

    def _read_lines(self) -> None:
        for line in self._pipes[2]:
            text = line.decode(errors="replace").rstrip("\n")
            if text == END_OF_LOG:
                self._log_ends.put(None)
                continue
            with self._lines_lock:
                self._lines.append(text)
        self._log_ends.put(None)
