"""Starts a serving stack in a namespace without network, sends it requests, and writes its answers.

Runs inside the namespace: `python exchange.py PLAN ANSWERS`. PLAN is a JSON file with the command, its environment and
the requests; bodies are base64. ANSWERS gets {"interfaces", "healthy", "exit_code", "answers", "seconds"}: the answer
of each request, and the seconds until it was complete. Imports the standard library only.
"""

from __future__ import annotations

import base64
import fcntl
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PORT = 8080  # SageMaker's; no other program listens in this namespace
_START_SECONDS, _ANSWER_SECONDS = 120.0, 60.0
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1


def bring_up_loopback() -> None:
    """Sets the loopback interface up, the only one in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))


def interfaces() -> list[str]:
    """The network interfaces of this namespace."""
    return [name for _, name in socket.if_nameindex()]


def send(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, str, bytes]:
    """Status, content type and body of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=_ANSWER_SECONDS)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def wait_until_healthy(process: subprocess.Popen[bytes]) -> bool:
    """Whether /ping answers 200 before the process ends."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if send("GET", "/ping", None, {})[0] == 200:
                return True
        except OSError:
            time.sleep(0.1)  # polls another process: there is no event to wait for
    return False


def main(plan_file: Path, answers_file: Path) -> None:
    """Plays the plan."""
    plan: dict[str, Any] = json.loads(plan_file.read_text())
    bring_up_loopback()
    result: dict[str, Any] = {"interfaces": interfaces(), "answers": [], "seconds": []}
    process = subprocess.Popen(plan["command"], env=plan["environment"], cwd="/opt/ml")
    result["healthy"] = wait_until_healthy(process)
    if result["healthy"]:
        for request in plan["requests"]:
            content, start = base64.b64decode(request["body"]), time.monotonic()
            status, kind, body = send("POST", "/invocations", content, dict(request["headers"]))
            result["seconds"].append(time.monotonic() - start)
            result["answers"].append([status, kind, base64.b64encode(body).decode()])
    result["exit_code"] = process.poll()
    process.terminate()
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
    answers_file.write_text(json.dumps(result))


if __name__ == "__main__":
    os.umask(0o022)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
