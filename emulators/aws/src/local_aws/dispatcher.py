"""The WSGI application at AWS_ENDPOINT_URL: answers what moto lacks or only pretends, and hands on the rest to moto.

It dispatches and logs; what the answers are is the business of the handlers it is given.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local_aws import protocols
from local_aws.errors import AwsError, Handler, NotHandled

access_key: ContextVar[str | None] = ContextVar("access_key", default=None)
"""The access key that signed the call being answered."""

Direct = Callable[[re.Match[str], Mapping[str, Any], bytes], protocols.Answer]
"""Answers a call whose operation is in its path: (the path's match, WSGI environment, body)."""


class Layer:
    """Dispatches each request to the first that knows it: `direct` paths, `operations`, then moto."""

    def __init__(
        self,
        moto: Callable[..., Iterable[bytes]],
        *,
        direct: Sequence[tuple[str, str, str, Direct]],
        operations: Mapping[tuple[str, str], Handler],
        prepare: Mapping[str, Callable[[], None]],
        log: Path,
    ) -> None:
        """`direct` rows are (method, path pattern, "service:Operation", function); `log` gets one JSON line a call.

        `prepare` is called before moto sees a call of that service, each time.
        """
        self._moto, self._prepare = moto, prepare
        self._direct = [(method, re.compile(pattern), name, call) for method, pattern, name, call in direct]
        self._operations = dict(operations)
        self._log_lock = threading.Lock()
        self._log = log.open("a", encoding="utf-8", buffering=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI entry point."""
        started = time.perf_counter()
        path, method = environ.get("PATH_INFO", "/"), environ["REQUEST_METHOD"]
        for verb, pattern, name, call in self._direct:
            match = pattern.match(path) if verb == method else None
            if match:
                return self._answer(environ, start_response, started, name, self._run(name, environ, match, call))
        request = protocols.read(environ)
        if request.body is not None:
            environ["wsgi.input"] = io.BytesIO(request.body)
        name = f"{request.service}:{request.operation or f'{method} {path}'}"
        handler = self._operations.get((request.service, request.operation))
        if handler is not None:
            token = access_key.set(request.access_key)
            try:
                answer = self._handle(name, request, handler)
            finally:
                access_key.reset(token)
            if answer is not None:
                return self._answer(environ, start_response, started, name, answer)
        return self._pass_on(environ, start_response, started, name, request)

    def add(self, operations: Mapping[tuple[str, str], Handler]) -> None:
        """Answers these operations too, for services that can only be made when the layer serves."""
        self._operations.update(operations)

    def close(self) -> None:
        """Closes the log."""
        with self._log_lock:
            self._log.close()

    def _run(self, name: str, environ: dict[str, Any], match: re.Match[str], call: Direct) -> protocols.Answer:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        try:
            return call(match, environ, body)
        except Exception as error:
            return protocols.render_error("rest-json", self._aws_error(name, error))

    def _handle(self, name: str, request: protocols.Request, handler: Handler) -> protocols.Answer | None:
        try:
            return protocols.render(request, handler(request.parameters()))
        except NotHandled:
            return None
        except Exception as error:
            return protocols.render_error(request.protocol, self._aws_error(name, error))

    def _aws_error(self, name: str, error: Exception) -> AwsError:
        """`error` as AWS would put it: as it is, moto's by its type, and anything else as this cloud's failure."""
        if isinstance(error, AwsError):
            return error
        kind = getattr(error, "error_type", None) or getattr(error, "code", None)
        if type(error).__module__.startswith("moto.") and isinstance(kind, str):
            return AwsError(kind, str(getattr(error, "message", error)))
        self._note(name, 501, time.perf_counter(), traceback.format_exc())
        # 501, because the SDKs do not try that again: another attempt would fail the same way.
        return AwsError("InternalFailure", f"the local cloud cannot do {name}: {type(error).__name__}: {error}", 501)

    def _answer(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        started: float,
        name: str,
        answer: protocols.Answer,
    ) -> Iterable[bytes]:
        status, headers, body = answer
        start_response(_status(status), [*headers.items(), ("Content-Length", str(len(body)))])
        self._note(name, status, started, headers.get("x-amzn-ErrorType"))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _pass_on(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        started: float,
        name: str,
        request: protocols.Request,
    ) -> Iterable[bytes]:
        seen: list[int] = []

        def note_status(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            seen.append(int(status.split(" ", 1)[0]))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            if request.service in self._prepare:
                self._prepare[request.service]()
            result = self._moto(environ, note_status)
        except Exception as error:
            answer = protocols.render_error(request.protocol, self._aws_error(name, error))
            return self._answer(environ, start_response, started, name, answer)
        status = seen[0] if seen else 200
        self._note(name, status, started, None)
        return result

    def _note(self, name: str, status: int, started: float, error: str | None) -> None:
        line = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "call": name,
            "status": status,
            "milliseconds": round((time.perf_counter() - started) * 1000, 2),
        }
        if error:
            line["error"] = error
        with self._log_lock:
            if not self._log.closed:
                self._log.write(json.dumps(line) + "\n")


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"
