"""One running Lambda execution environment: a process with the handler loaded, kept warm between events.

Starts it, sends it an event and gives up on it. Which function it belongs to is decided in
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
from local_aws.child_processes import Processes

_INIT_SECONDS = 10  # what AWS gives a function to load, beside its own timeout
_CLOCK = "FRAUDOPS_NOW"  # may be set anew between events, so each event carries it
_SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six.py")


@dataclass(frozen=True)
class Outcome:
    """How an invocation ended: the handler's JSON `result`, or `error` as AWS words it, and what was printed."""

    request_id: str
    result: str | None
    error: dict[str, Any] | None
    lines: tuple[str, ...]


def sdk_folder(folder: Path) -> Path:
    """A folder with the AWS SDK and what it needs, and nothing else: what Lambda's own image has beside the code."""
    import boto3

    packages = Path(boto3.__file__).parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    for name in _SDK:
        link = folder / name
        if not link.exists():
            with contextlib.suppress(FileExistsError):
                link.symlink_to(packages / name)
    return folder


class Worker:
    """A warm execution environment of one version of one function."""

    def __init__(
        self, processes: Processes, *, task: Path, packages: Path, handler: str, environment: Mapping[str, str]
    ) -> None:
        self._processes = processes
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
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._lines: list[str] = []
        self._lines_lock = threading.Lock()
        self._ends: queue.Queue[None] = queue.Queue()
        self._ready = False
        self._readers = [
            threading.Thread(target=target, daemon=True) for target in (self._read_answers, self._read_lines)
        ]
        for thread in self._readers:
            thread.start()

    def invoke(self, event: Any, *, arn: str, timeout_seconds: float, request_id: str | None = None) -> Outcome:
        """Runs the handler on `event`. After an error that ends the process (`dead`), the worker is of no more use."""
        request_id = request_id or str(uuid.uuid4())
        if not self._ready:
            self._ready = bool(self._receive(_INIT_SECONDS))
        request = {
            "id": request_id,
            "event": event,
            "arn": arn,
            "timeout_seconds": timeout_seconds,
            "now": os.environ.get(_CLOCK),
        }
        with contextlib.suppress(BrokenPipeError):  # then there will be no answer, which says it all
            self._pipes[0].write(json.dumps(request).encode() + b"\n")
            self._pipes[0].flush()
        answer = self._receive(timeout_seconds)
        if not answer:
            return self._lost(request_id, late=answer is None, timeout_seconds=timeout_seconds)
        document = json.loads(answer)
        return Outcome(request_id, document.get("result"), document.get("error"), self._take_lines())

    def _receive(self, timeout_seconds: float) -> bytes | None:
        """The next answer; b"" where the process has ended, None where it took too long."""
        try:
            return self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            return None

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._child.poll() is not None

    def close(self) -> None:
        """Ends the process."""
        self._processes.end(self._child, grace_seconds=0.2)
        for thread in self._readers:  # they see the ends of their pipes, unless a descendant holds them open
            thread.join(1)
        for pipe in self._pipes:
            with contextlib.suppress(OSError, ValueError):
                pipe.close()

    def _lost(self, request_id: str, *, late: bool, timeout_seconds: float) -> Outcome:
        self._processes.end(self._child, grace_seconds=0)
        if late:
            message = f"RequestId: {request_id} Error: Task timed out after {timeout_seconds:.2f} seconds"
            return Outcome(
                request_id, None, {"errorType": "Sandbox.Timedout", "errorMessage": message}, self._take_lines()
            )
        code = self._child.returncode
        how = f"exit status {code}" if code >= 0 else f"signal {-code}"
        message = f"RequestId: {request_id} Error: Runtime exited with error: {how}"
        return Outcome(
            request_id, None, {"errorType": "Runtime.ExitError", "errorMessage": message}, self._take_lines()
        )

    def _take_lines(self) -> tuple[str, ...]:
        with contextlib.suppress(queue.Empty):  # a descendant of the handler may hold the pipe open
            self._ends.get(timeout=2)
        with self._lines_lock:
            lines, self._lines = tuple(self._lines), []
        return lines

    def _read_answers(self) -> None:
        for line in self._pipes[1]:
            self._answers.put(line)
        self._answers.put(b"")

    def _read_lines(self) -> None:
        for line in self._pipes[2]:
            text = line.decode(errors="replace").rstrip("\n")
            if text == END_OF_LOG:
                self._ends.put(None)
                continue
            with self._lines_lock:
                self._lines.append(text)
        self._ends.put(None)
