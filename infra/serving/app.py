"""SageMaker's container contract as an ASGI application: /ping, /invocations and /execution-parameters.

Raw ASGI, because a framework would take most of the time of a request of one row. A body beyond the limit is refused
while it is read, and no request can end the server. Short requests are scored on the event loop's thread; long ones on
another, so that /ping is answered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ml.model import scoring_responses
from ml.model.scoring_responses import JSON, MAX_BODY, PayloadError
from ml.steps import inference
from serving.one_row import OneRow

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_SECONDS = 60.0  # SageMaker ends a request after as many
_DISCARD_FACTOR, _DISCARD_SECONDS = 8, 10.0  # how much of a refused body is read, so that the sender gets the answer
_SHORT_BYTES = 32 * 1024  # some hundred rows, a few milliseconds
_ANY = (None, b"*/*", b"application/json")
_JSON_TYPE = (b"content-type", JSON.encode())
_LOG = logging.getLogger("serving")
# Batch transform asks for these; one process scores one request at a time.
_EXECUTION_PARAMETERS = json.dumps(
    {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": MAX_BODY // 2**20}
).encode()


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response."""

    status: int
    content_type: str
    body: bytes


class App:
    """The ASGI application for one model."""

    def __init__(self, model: inference.Model, *, read_seconds: float = READ_SECONDS) -> None:
        self._model, self._one_row, self._read_seconds = model, OneRow(model), read_seconds
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="long requests")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        path, method = scope["path"], scope["method"]
        if path == "/invocations" and method == "POST":
            await self._invoke(scope, receive, send)
        elif path == "/invocations":
            await _send(send, _error(405, "only POST is allowed here"))
        elif path not in ("/ping", "/execution-parameters"):
            await _send(send, _error(404, f"no such path: {path[:80]}"))
        elif method not in ("GET", "HEAD"):
            await _send(send, _error(405, "only GET is allowed here"))
        else:
            await _send(send, Response(200, JSON, b"" if path == "/ping" else _EXECUTION_PARAMETERS))

    async def _invoke(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        content_type, accept, length = _read_headers(scope["headers"])
        if length > MAX_BODY:
            await self._refuse_large_body(receive, send, 0)
            return
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body: bytes = message["body"]
        if message["more_body"]:
            rest = await self._read_rest(body, receive, send)
            if rest is None:
                return
            body = rest
        answer = self._answer_one_row(body, content_type) if accept in _ANY else None
        if answer is not None:
            headers = [_JSON_TYPE, (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})
        elif len(body) <= _SHORT_BYTES:
            await _send(send, self._score(body, content_type, accept))
        else:
            loop = asyncio.get_running_loop()
            await _send(send, await loop.run_in_executor(self._executor, self._score, body, content_type, accept))

    def _answer_one_row(self, body: bytes, content_type: bytes | None) -> bytes | None:
        if content_type == b"text/csv":
            return self._one_row.answer_csv(body)
        return self._one_row.answer_json(body) if content_type == b"application/json" else None

    def _score(self, body: bytes, content_type: bytes | None, accept: bytes | None) -> Response:
        """The response to a request of any form."""
        texts = (None if value is None else value.decode("latin-1") for value in (content_type, accept))
        try:
            answer, kind = inference.score_request(self._model, body, *texts)
        except PayloadError as error:
            return Response(error.status, JSON, error.body)
        except Exception as error:  # a defect must not end the server
            _LOG.exception("a request failed")
            return _error(500, f"{type(error).__name__}: {error}")
        return Response(200, kind, answer)

    async def _read_rest(self, first: bytes, receive: Receive, send: Send) -> bytes | None:
        """The whole body; None if there is none, and the request is answered where somebody waits."""
        parts, size, more = [first], len(first), True
        try:
            async with asyncio.timeout(self._read_seconds):
                while more and size <= MAX_BODY:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message["body"])
                    size += len(message["body"])
                    more = message["more_body"]
        except TimeoutError:
            await _send(send, _error(408, f"the body did not arrive within {self._read_seconds:g} s"), close=True)
            return None
        if size > MAX_BODY:
            await self._refuse_large_body(receive, send, size)
            return None
        return b"".join(parts)

    async def _refuse_large_body(self, receive: Receive, send: Send, size: int) -> None:
        """Answers 413 at once, then discards the rest of the body for a while: a connection that is closed earlier is
        reset before the sender has read the answer."""
        error = scoring_responses.too_large()
        await _send(send, Response(error.status, JSON, error.body), close=True, last=False)
        try:
            async with asyncio.timeout(min(self._read_seconds, _DISCARD_SECONDS)):
                while size <= _DISCARD_FACTOR * MAX_BODY:
                    message = await receive()
                    if message["type"] == "http.disconnect" or not message["more_body"]:
                        break
                    size += len(message["body"])
        except TimeoutError:
            _LOG.warning("stopped reading a refused body")
        await send({"type": "http.response.body", "body": b""})


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes | None, bytes | None, int]:
    """Content-Type, Accept and Content-Length; 0 without one."""
    content_type = accept = None
    length = 0
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"accept":
            accept = value if accept is None else b"%b,%b" % (accept, value)
        elif name == b"content-length":
            length = int(value)  # httptools has validated it
    return content_type, accept, length


async def _send(send: Send, response: Response, *, close: bool = False, last: bool = True) -> None:
    headers = [
        (b"content-type", response.content_type.encode("latin-1")),
        (b"content-length", b"%d" % len(response.body)),
    ]
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body, "more_body": not last})


def _error(status: int, message: str) -> Response:
    return Response(status, JSON, PayloadError(status, message).body)
