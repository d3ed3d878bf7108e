"""The load generator: it counts whole answers, samples them, opens closed connections again, and fails on an error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.benchmarks.performance import load

BODIES = [b"1", b"22", b"333"]
SECONDS, ANSWERS = 60, 20
"""A run ends after so many answers, so that a busy machine gives as many."""


class Echo(asyncio.Protocol):
    """Answers with the body that it gets; the generator sends each request at once."""

    def __init__(self, status: int, close: bool, opened: list[Any]) -> None:
        self._status, self._close, self._opened = status, close, opened
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._opened.append(transport)

    def data_received(self, data: bytes) -> None:
        body = data.rpartition(b"\r\n\r\n")[2]
        keep = b"Connection: close\r\n" if self._close else b""
        self._transport.write(b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n" % (self._status, keep, len(body)) + body)
        if self._close:
            self._transport.close()


async def measure(*, status: int = 200, close: bool = False) -> Any:
    """The figures of a server that answers with the body that it gets."""
    opened: list[Any] = []
    server = await asyncio.get_running_loop().create_server(lambda: Echo(status, close, opened), "127.0.0.1", 0)
    try:
        return await load.run(server.sockets[0].getsockname()[1], BODIES, SECONDS, 4, most=ANSWERS)
    finally:
        server.close()
        for transport in opened:
            transport.abort()
        for _ in range(3):  # transports close their sockets in later turns of the loop
            await asyncio.sleep(0)


@pytest.mark.parametrize("close", [False, True])
def test_answers_are_counted_and_sampled(close: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sample is the answer to the body at its place, also where the server closes each connection."""
    monkeypatch.setattr(load, "SAMPLE_EVERY", 1)  # a busy machine may answer few
    found = asyncio.run(measure(close=close))
    assert found["requests_per_second"] > 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert found["samples"]
    assert all(BODIES[place].decode() == body for place, body in found["samples"])


def test_answer_that_is_no_success_fails_the_run() -> None:
    """A rate of errors would be no figure."""
    with pytest.raises(RuntimeError, match=r"answer: b.HTTP/1\.1 500"):
        asyncio.run(measure(status=500))
