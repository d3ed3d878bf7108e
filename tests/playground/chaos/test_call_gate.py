"""The gate interrupts at the numbered call, fails a write, and replaces sleeping by the emulators' progress."""

from __future__ import annotations

import http.client
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ml.playground.chaos.call_gate import CallGate, Interrupted, Interruption

LONG = 3_600.0


class Handler(BaseHTTPRequestHandler):
    """Answers 200 and remembers the paths."""

    paths: list[str] = []  # noqa: RUF012 - one server for a test, which empties it

    def do_GET(self) -> None:
        """Answers."""
        self.paths.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture
def get() -> Iterator[Callable[[str], None]]:
    """Requests a path of a server of its own."""
    Handler.paths.clear()
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

        def request(path: str) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            connection.request("GET", path)
            connection.getresponse().read()
            connection.close()

        yield request
        server.shutdown()


@pytest.mark.parametrize(("after", "arrived"), [(False, ["/a"]), (True, ["/a", "/b"])])
def test_interruption_comes_before_or_after_the_numbered_call(
    get: Callable[[str], None], arrived: list[str], *, after: bool
) -> None:
    """The second call never arrives, or arrives and its response is lost; Git commands count as calls."""
    gate = CallGate(lambda: None, interruption=Interruption(call=3, after=after))
    with pytest.raises(Interrupted), gate.opened():
        get("/a")
        subprocess.run(["git", "--version"], check=True, capture_output=True)
        get("/b")
    assert (Handler.paths, gate.calls, gate.fired) == (arrived, 3, True)


def test_sleeping_lets_the_emulators_work_and_moves_the_clock() -> None:
    """An hour passes at once, also in a thread that the verb starts; the emulators settle; then all is as before."""
    settled: list[int] = []
    gate = CallGate(lambda: settled.append(1))
    sleep, monotonic = time.sleep, time.monotonic
    with gate.opened():
        started = time.monotonic()
        time.sleep(LONG)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(time.sleep, LONG).result()
        assert time.monotonic() - started > 2 * LONG
    assert (time.sleep, time.monotonic) == (sleep, monotonic)
    assert len(settled) == 2


def test_full_disk_fails_the_numbered_write_only(tmp_path: Path) -> None:
    """The second file cannot be written; reading and the next write work."""
    gate = CallGate(lambda: None, full_disk=2)
    with gate.opened():
        (tmp_path / "one").write_text("1")
        with pytest.raises(OSError, match="No space left on device"):
            (tmp_path / "two").write_text("2")
        assert (tmp_path / "one").read_text() == "1"
        (tmp_path / "three").write_text("3")
    assert (gate.fired, gate.files) == (True, 3)


def test_question_about_an_object_is_answered_once_and_counts_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What may change, and what Git has not found, is asked again."""
    asked: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        asked.append(command)
        return subprocess.CompletedProcess(command, int("b" * 40 in command[-1]), b"answer", b"")

    def ask(command: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, cwd=folder, input=b"", check=False)

    monkeypatch.setattr(subprocess, "run", run)
    gate = CallGate(lambda: None)
    tree = ["git", "-c", "core.quotePath=false", "ls-tree", "-r", "a" * 40, "--", "model-config"]
    known, missing = ["git", "rev-parse", "--verify", f"{'a' * 40}^{{commit}}"], ["git", "rev-parse", "b" * 40]
    moving = [["git", "rev-parse", "HEAD"], ["git", "rev-parse", "--show-toplevel"], ["git", "log", "a" * 40]]
    commands = [tree, known, missing, *moving]
    with gate.opened():
        for _ in range(2):
            for command in commands:
                assert ask(command, tmp_path).stdout == b"answer"
        ask(known, tmp_path / "other")
    assert gate.calls == 13
    assert asked == [*commands, missing, *moving, known]
