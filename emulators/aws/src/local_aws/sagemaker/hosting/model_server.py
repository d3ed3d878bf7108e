"""Serves the model of an endpoint instance: SageMaker's container contract over HTTP, for any inference handler.

`python -m local_aws.sagemaker.hosting.model_server --model-dir DIR [--ready-file FILE]` answers GET /ping and
POST /invocations by calling the handler in the model archive. The handler is loaded as SageMaker's container would load
it: it cannot import editable installs of the interpreter.

Raw ASGI, because a framework would take most of the time of a fast model. A body beyond the limit is refused while it
is being read, and no request can end the server. SIGTERM lets the requests in flight finish, and ends the process after
GRACE_SECONDS even if a handler never returns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import uvicorn

from local_aws.sagemaker.hosting.handler_loader import (
    HandlerInvalid,
    InferenceHandler,
    Response,
    error_response,
    load_handler,
)

_TICK_SECONDS = 1.0
"""How often the server looks whether it is to end, beside the signal that says so."""
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

DEFAULT_LIMIT_BYTES = 6 * 1024 * 1024  # MAX_CONTENT_LENGTH sets another, as in the container
MAX_LIMIT_BYTES = 20 * 1024 * 1024
READ_SECONDS = 60.0
GRACE_SECONDS = 25  # between SIGTERM and the end; SageMaker kills a container 30 s after its SIGTERM
_DISCARD_FACTOR = 8  # up to this many times the limit is read and discarded, so that the sender gets the response
_DISCARD_SECONDS = 10.0
_QUICK_SECONDS, _QUICK_BYTES = 0.002, 64 * 1024
_PING = Response(200, "application/json", b"")


class App:
    """The ASGI application for one handler."""

    def __init__(
        self, handler: InferenceHandler, *, limit: int = DEFAULT_LIMIT_BYTES, read_seconds: float = READ_SECONDS
    ) -> None:
        self._handler = handler
        self._limit = limit
        self._read_seconds = read_seconds
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="handler")
        self._waiting = 0
        self._seconds = float("inf")  # the handler's smoothed duration; assumed slow until known

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        path, method = scope["path"], scope["method"]
        if path == "/ping":
            await _send(send, _PING if method in ("GET", "HEAD") else _not_allowed("GET"))
        elif path != "/invocations":
            await _send(send, error_response(404, f"no such path: {path[:80]}; only /ping and /invocations exist"))
        elif method != "POST":
            await _send(send, _not_allowed("POST"))
        else:
            await self._invoke(scope, receive, send)

    async def _invoke(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        content_type = accept = None
        length = 0
        for name, value in scope["headers"]:
            if name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"accept":
                text = value.decode("latin-1")
                accept = f"{accept},{text}" if accept else text
            elif name == b"content-length":
                length = int(value)  # httptools has validated it
        if length > self._limit:
            await self._refuse_large_body(receive, send, 0)
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body = message["body"]
        if message["more_body"]:
            parts = [body]
            size = len(body)
            try:
                async with asyncio.timeout(self._read_seconds):
                    while message["more_body"]:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        parts.append(message["body"])
                        size += len(message["body"])
                        if size > self._limit:
                            break
            except TimeoutError:
                await _send(
                    send, error_response(408, f"the body did not arrive within {self._read_seconds:g} s"), close=True
                )
                return
            body = b"".join(parts)
        if len(body) > self._limit:
            await self._refuse_large_body(receive, send, len(body))
            return
        await _send(send, await self._call(body, content_type, accept))

    async def _call(self, body: bytes, content_type: str | None, accept: str | None) -> Response:
        """The handler's response. One request runs at a time: a slow handler on the executor's thread, so that /ping
        is never delayed; a quick one on this thread, which saves the change of threads."""
        if self._waiting == 0 and self._seconds < _QUICK_SECONDS and len(body) <= _QUICK_BYTES:
            return self._handle_timed(body, content_type, accept)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._executor, self._handle_timed, body, content_type, accept)
        finally:
            self._waiting -= 1

    def _handle_timed(self, body: bytes, content_type: str | None, accept: str | None) -> Response:
        start = time.perf_counter()
        response = self._handler.handle(body, content_type, accept)
        if len(body) <= _QUICK_BYTES:
            seconds = time.perf_counter() - start
            self._seconds = seconds if self._seconds == float("inf") else 0.8 * self._seconds + 0.2 * seconds
        return response

    async def _refuse_large_body(self, receive: Receive, send: Send, size: int) -> None:
        """Sends 413 at once, then discards the rest of the body for a while: closing the connection earlier would
        reset it before the sender has read the response."""
        response = error_response(
            413, f"the body must have at most {self._limit} bytes; send more rows in several requests"
        )
        await _send(send, response, close=True, last=False)
        try:
            async with asyncio.timeout(min(self._read_seconds, _DISCARD_SECONDS)):
                while size <= _DISCARD_FACTOR * self._limit:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message["more_body"]:
                        break
                    size += len(message["body"])
        except TimeoutError:
            print("model server: stopped reading a refused body", file=sys.stderr)  # noqa: T201 - the endpoint's log
        await send({"type": "http.response.body", "body": b""})


async def _send(send: Send, response: Response, *, close: bool = False, last: bool = True) -> None:
    headers = [
        (b"content-type", response.content_type.encode("latin-1", "replace")),
        (b"content-length", str(len(response.body)).encode()),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": not last})


def _not_allowed(method: str) -> Response:
    return error_response(405, f"only {method} is allowed here")


def _end_process() -> None:
    print("model server: a request did not finish before the end of the grace period", file=sys.stderr, flush=True)  # noqa: T201 - the endpoint's log
    os._exit(1)


class _ModelServer(uvicorn.Server):  # type: ignore[misc] # mypy skips uvicorn, see pyproject.toml
    """A uvicorn server that writes its port to a file once it listens, and whose shutdown takes a bounded time.

    It ends at once while it is idle; uvicorn takes up to two tenths of a second, and an endpoint's update waits for it.
    """

    def __init__(self, config: uvicorn.Config, ready_file: Path | None, grace_seconds: float) -> None:
        super().__init__(config)
        self._ready_file, self._grace_seconds = ready_file, grace_seconds
        self._wake: Callable[[], object] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begins the shutdown, and ends the process after the grace period whatever its threads do."""
        # uvicorn cancels tasks, but a handler in a thread cannot be cancelled, and the interpreter waits for it.
        deadline = threading.Timer(self._grace_seconds + 1, _end_process)
        deadline.daemon = True
        deadline.start()
        super().handle_exit(sig, frame)
        if self._wake is not None:
            self._wake()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens, then writes the ready file."""
        await super().startup(sockets)
        if self.started and sockets and self._ready_file is not None:
            write_ready_file(self._ready_file, sockets[0].getsockname()[1])

    async def main_loop(self) -> None:
        """Runs until a signal begins the shutdown."""
        woken = asyncio.Event()
        self._wake = functools.partial(asyncio.get_running_loop().call_soon_threadsafe, woken.set)
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):  # no signal came: the next tick is due
                await asyncio.wait_for(woken.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers requests in flight; without any, closes listeners and connections and returns."""
        if self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()


def write_ready_file(path: Path, port: int) -> None:
    """Writes `port` to `path`, atomically."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(f"{port}\n", encoding="ascii")
    partial.replace(path)


def isolate_imports() -> None:
    """Restricts imports to those of a container: the interpreter's own folders, no editable install."""
    prefixes = tuple({str(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix)})
    sys.path[:] = [entry for entry in sys.path if str(Path(entry or ".").resolve()).startswith(prefixes)]
    sys.meta_path[:] = [finder for finder in sys.meta_path if not _is_editable(finder)]


def _is_editable(finder: object) -> bool:
    module = finder.__module__ if isinstance(finder, type) else type(finder).__module__
    return module.startswith("__editable__")


def run(model_dir: Path, *, host: str, port: int, ready_file: Path | None, grace_seconds: int = GRACE_SECONDS) -> None:
    """Serves the model in `model_dir` until SIGTERM or SIGINT, and at most `grace_seconds` longer.

    Raises:
        HandlerInvalid: its handler cannot be loaded.
        OSError: the port is in use.
    """
    os.environ["SM_MODEL_DIR"] = str(model_dir)
    limit = _parse_limit(os.environ.get("MAX_CONTENT_LENGTH"))
    listener = socket.create_server((host, port), backlog=2048, reuse_port=False)
    isolate_imports()
    app = App(load_handler(model_dir, os.environ), limit=limit)
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        lifespan="off",
        ws="none",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=grace_seconds,
    )
    _ModelServer(config, ready_file, grace_seconds).run(sockets=[listener])


def _parse_limit(text: str | None) -> int:
    if not text:
        return DEFAULT_LIMIT_BYTES
    if not text.isdecimal():
        raise HandlerInvalid(f"MAX_CONTENT_LENGTH must be a number of bytes (got {text!r})")
    return min(int(text), MAX_LIMIT_BYTES)


def _exit(*_: object) -> NoReturn:
    raise SystemExit(0)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; exit code 1 if the model cannot be served, with the reason on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws.sagemaker.hosting.model_server", description="Serves a model folder over HTTP."
    )
    parser.add_argument("--model-dir", type=Path, required=True, help="laid out as /opt/ml/model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="gets the port once /ping answers")
    parser.add_argument("--grace-seconds", type=int, default=GRACE_SECONDS, help="from SIGTERM to the end")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _exit)  # uvicorn restores this handler and raises the signal again after its shutdown
    try:
        run(
            options.model_dir.resolve(),
            host=options.host,
            port=options.port,
            ready_file=options.ready_file,
            grace_seconds=options.grace_seconds,
        )
    except (HandlerInvalid, OSError) as error:
        print(json.dumps({"error": str(error)}), file=sys.stderr)  # noqa: T201 - the endpoint's log
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
