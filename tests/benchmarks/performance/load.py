"""Sends requests to a model server from several connections, each as soon as the one before is answered.

Arguments: port, file with one request body per line, seconds, connections. Prints JSON: requests sent, requests per
second, latencies in milliseconds, and a sample of the answers with the places of their bodies. asyncio on uvloop and a
protocol of its own, so that it takes a fraction of the server's time. A closed connection is opened again, as HTTP/1.1
clients do.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvloop

WARM_UP_SECONDS = 0.5
SAMPLE_EVERY = 37
MAX_SAMPLES = 300
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass
class Load:
    """What is sent, until when or how many answers, and what was measured."""

    requests: list[bytes]
    begin: float
    end: float
    done: asyncio.Future[None]
    most: int | None = None
    """How many answers end the run before its time."""
    next: int = 0
    seconds: list[float] = field(default_factory=list)
    samples: list[tuple[int, str]] = field(default_factory=list)
    connections: set[asyncio.Transport] = field(default_factory=set)

    def take(self) -> tuple[int, bytes]:
        """The place and the bytes of the next request."""
        place = self.next % len(self.requests)
        self.next += 1
        return place, self.requests[place]

    def fail(self, reason: str) -> None:
        """Ends the run: an answer that is no success makes every figure worthless."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Client(asyncio.Protocol):
    """One connection with one request at a time."""

    def __init__(self, load: Load, port: int) -> None:
        self._load, self._port = load, port
        self._loop = asyncio.get_running_loop()
        self._buffer, self._place, self._sent, self._waiting = b"", 0, 0.0, False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Sends the first request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._load.connections.add(self._transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent = time.perf_counter()
        if self._sent >= self._load.end:
            self._transport.close()
            if not self._load.done.done():
                self._load.done.set_result(None)
            return
        self._place, request = self._load.take()
        self._waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Takes a part of an answer; a whole one is counted, and the next request is sent."""
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[: head_end + 2]
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self._load.fail(f"answer: {self._buffer[:200]!r}")
            return
        size = head_end + 4 + int(length[1])
        if len(self._buffer) < size:
            return
        body, self._buffer, self._waiting = self._buffer[head_end + 4 : size], b"", False
        now = time.perf_counter()
        if self._load.begin <= self._sent and now <= self._load.end:
            self._load.seconds.append(now - self._sent)
            if len(self._load.seconds) == self._load.most and not self._load.done.done():
                self._load.done.set_result(None)
            if self._load.next % SAMPLE_EVERY == 0 and len(self._load.samples) < MAX_SAMPLES:
                self._load.samples.append((self._place, body.decode()))
        if _CLOSE.search(head) is None:
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """Connects again; a connection that was lost before its answer fails the run."""
        self._load.connections.discard(cast(asyncio.Transport, self._transport))
        if self._load.done.done():
            return
        if self._waiting:
            self._load.fail(f"a connection was lost before its answer: {error}")
        else:
            task = self._loop.create_task(connect(self._load, self._port))
            task.add_done_callback(self._connected)

    def _connected(self, ended: asyncio.Task[None]) -> None:
        error = ended.exception()
        if error is not None:
            self._load.fail(f"no connection: {error}")


async def connect(load: Load, port: int) -> None:
    """Opens one connection, which sends by itself."""
    await asyncio.get_running_loop().create_connection(lambda: Client(load, port), "127.0.0.1", port)


async def run(
    port: int, bodies: list[bytes], seconds: float, connections: int, *, most: int | None = None
) -> dict[str, object]:
    """The measured figures; RuntimeError if an answer is no success. It ends after `most` answers, if that is given."""
    head = b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n%s"
    loop = asyncio.get_running_loop()
    begin = time.perf_counter() + WARM_UP_SECONDS
    load = Load(
        requests=[head % (len(body), body) for body in bodies],
        begin=begin,
        end=begin + seconds,
        done=loop.create_future(),
        most=most,
    )
    await asyncio.gather(*(connect(load, port) for _ in range(connections)))
    try:
        await asyncio.wait_for(load.done, WARM_UP_SECONDS + seconds + 30)
    finally:
        for transport in load.connections:
            transport.abort()
        await asyncio.sleep(0)  # lets the connections end
    taken = sorted(load.seconds)
    return {
        "requests": load.next,
        "requests_per_second": len(taken) / seconds,
        "p50_ms": 1e3 * taken[len(taken) // 2],
        "p99_ms": 1e3 * taken[int(0.99 * len(taken))],
        "samples": load.samples,
    }


def main() -> int:
    """Prints one line of JSON."""
    port, file, seconds, connections = int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(port, file.read_bytes().splitlines(), seconds, connections))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
