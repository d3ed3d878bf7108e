"""Puts a model server under load by `wrk`, and compares answers meanwhile on a connection of its own.

`wrk` is in the packages of Debian and Homebrew. Where it is not installed, load.py is used, which takes about as much
processor time for a request. The size of a row names the one that was used.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.benchmarks.performance.measured import ROOT, BenchFailed, run

HERE = ROOT / "tests/benchmarks/performance"
SAMPLE_SECONDS = 0.02
"""Between two sampled answers."""


OWN = "load.py"


def name() -> str:
    """The load generator of a full run here."""
    return "wrk" if shutil.which("wrk") else OWN


def measure(port: int, bodies: Path, seconds: float, connections: int, core: int, *, generator: str) -> dict[str, Any]:
    """Requests, requests per second, p50 and p99 in milliseconds, and samples: (place of a body, answer).

    Args:
        bodies: a file with one request body per line.
        core: where the load generator runs.
        generator: `wrk` or OWN.

    Raises:
        BenchFailed: a request was not answered, or with an error.
    """
    on_core: list[str | Path] = [sys.executable, HERE / "on_core.py", str(core)]
    if generator == OWN:
        arguments: list[str | Path] = [str(port), bodies, str(seconds), str(connections)]
        return run([*on_core, sys.executable, HERE / OWN, *arguments]).answer
    options = [f"--connections={connections}", "--threads=1", f"--duration={seconds:.0f}s", "--timeout=30s"]
    command = [*on_core, "wrk", *options, f"--script={HERE / 'wrk.lua'}", f"http://127.0.0.1:{port}"]
    with Sampler(port, bodies.read_text("utf-8").splitlines()) as sampler:
        done = subprocess.run(
            command, env=os.environ | {"WRK_BODIES": str(bodies)}, stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise BenchFailed(f"exit code {done.returncode} of {' '.join(map(str, command))}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if figures.pop("errors"):
        raise BenchFailed(f"wrk: requests without an answer, or with an error:\n{done.stdout}")
    figures["requests"] += len(sampler.samples)
    return figures | {"samples": sampler.samples}


class Sampler:
    """Sends bodies in turn on one connection while the context is open, and keeps the answers."""

    def __init__(self, port: int, bodies: list[str]) -> None:
        self.samples: list[tuple[int, str]] = []
        self._port, self._bodies = port, bodies
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._failed: Exception | None = None

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._failed is not None:
            raise BenchFailed(f"a sampled request failed: {self._failed}")

    def _sample(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            while not self._ended.wait(SAMPLE_SECONDS):
                place = len(self.samples) % len(self._bodies)
                connection.request("POST", "/invocations", self._bodies[place], {"Content-Type": "text/csv"})
                answer = connection.getresponse()
                content = answer.read().decode()
                if answer.status != 200:
                    raise RuntimeError(f"status {answer.status}: {content[:200]}")  # noqa: TRY301 - ends the thread
                self.samples.append((place, content))
        except Exception as error:  # the caller's thread reports it
            self._failed = error
        finally:
            connection.close()
