"""The sampler of answers under load, and the choice of the load generator."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks.performance import wrk
from tests.benchmarks.performance.measured import BenchFailed, cores
from tests.waiting import wait_until


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the body that it gets; 500 to the body `bad`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """One answer."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if body == b"bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Writes nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that echoes."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_samples_are_answers_to_the_bodies_at_their_places(port: int) -> None:
    """They are taken while the context is open."""
    bodies = ["1", "22", "333"]
    with wrk.Sampler(port, bodies) as sampler:
        wait_until(lambda: len(sampler.samples) > len(bodies))
    assert all(bodies[place] == content for place, content in sampler.samples)


def test_answer_that_is_no_success_fails_the_run(port: int) -> None:
    """When the context ends, so that the load is not left running."""
    with (
        pytest.raises(BenchFailed, match="a sampled request failed: status 500: bad"),
        wrk.Sampler(port, ["bad"]) as found,
    ):
        wait_until(lambda: not found._thread.is_alive())


def test_own_generator_is_used_without_wrk(port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`wrk` is no package of Python, and may be missing."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    bodies = tmp_path / "bodies.txt"
    bodies.write_text("1\n22\n")
    assert wrk.name() == wrk.OWN
    found = wrk.measure(port, bodies, 1.0, 2, cores()[0], generator=wrk.OWN)
    assert found["requests_per_second"] > 0
    assert found["p50_ms"] <= found["p99_ms"]
