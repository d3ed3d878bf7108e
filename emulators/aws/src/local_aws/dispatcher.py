"""The WSGI application at AWS_ENDPOINT_URL: calls the emulator's own handlers, and moto for everything else.

Dispatches and logs only; the handlers decide what the responses are.
"""

from __future__ import annotations

import io
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local_aws import protocols
from local_aws.authorization import gate
from local_aws.authorization.principals import Principal
from local_aws.errors import AwsError, NotHandled, OperationHandler

PathHandler = Callable[[re.Match[str], Mapping[str, Any], bytes], protocols.Response]
"""Answers a call whose operation is its path: (match of the path, WSGI environment, body)."""

Admit = Callable[[dict[str, Any], protocols.Request, str], Principal | None]
"""Authorizes a request and returns its caller: (WSGI environment, request, service or ''); see `authorization.gate`."""

_CONTROL_SERVICE = "local"


class Dispatcher:
    """Dispatches each request to the first match of `paths`, of `operations`, or to moto."""

    def __init__(
        self,
        moto: Callable[..., Iterable[bytes]],
        *,
        paths: Sequence[tuple[str, str, str, PathHandler]],
        operations: Mapping[tuple[str, str], OperationHandler],
        prepare: Mapping[str, Callable[[], None]],
        admit: Admit,
        log: Path,
    ) -> None:
        """`paths` has rows of (method, path pattern, "service:Operation", handler); `log` gets one JSON line per call.

        `prepare` is called before each call of its service that goes to moto, `admit` before each call except those of
        the service "local", the emulator's own control paths.
        """
        self._admit = admit
        self._moto, self._prepare = moto, prepare
        self._paths = [(method, re.compile(pattern), name, handler) for method, pattern, name, handler in paths]
        self._operations = dict(operations)
        self._log_lock = threading.Lock()
        self._log = log.open("a", encoding="utf-8", buffering=1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI entry point."""
        started = time.perf_counter()
        path, method = environ.get("PATH_INFO", "/"), environ["REQUEST_METHOD"]
        for verb, pattern, name, path_handler in self._paths:
            match = pattern.match(path) if verb == method else None
            if match:
                response = self._call_path_handler(name, environ, match, path_handler)
                return self._respond(environ, start_response, started, name, response)
        request = protocols.read(environ)
        if request.body is not None:
            environ["wsgi.input"] = io.BytesIO(request.body)
        name = f"{request.service}:{request.operation or f'{method} {path}'}"
        try:
            caller = self._admit(environ, request, "")
        except Exception as error:
            refusal = protocols.render_error(request.protocol, self._aws_error(name, error))
            return self._respond(environ, start_response, started, name, refusal)
        token = gate.principal.set(caller)
        try:
            handler = self._operations.get((request.service, request.operation))
            if handler is not None:
                handled = self._call_operation_handler(name, request, handler)
                if handled is not None:
                    return self._respond(environ, start_response, started, name, handled)
            return self._call_moto(environ, start_response, started, name, request)
        finally:
            gate.principal.reset(token)

    def add(self, operations: Mapping[tuple[str, str], OperationHandler]) -> None:
        """Adds operations of services that can only be created while the dispatcher serves."""
        self._operations.update(operations)

    def refuse(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        request: protocols.Request,
        name: str,
        error: Exception,
    ) -> Iterable[bytes]:
        """Answers a call that is not dispatched, such as an invalid one, with `error`, and logs it as `name`."""
        response = protocols.render_error(request.protocol, self._aws_error(name, error))
        return self._respond(environ, start_response, time.perf_counter(), name, response)

    def close(self) -> None:
        """Closes the log."""
        with self._log_lock:
            self._log.close()

    def _call_path_handler(
        self, name: str, environ: dict[str, Any], match: re.Match[str], handler: PathHandler
    ) -> protocols.Response:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        service = name.partition(":")[0]
        try:
            if service != _CONTROL_SERVICE:
                self._admit(environ, protocols.read_path(environ, service), service)
            return handler(match, environ, body)
        except Exception as error:
            return protocols.render_error("rest-json", self._aws_error(name, error))

    def _call_operation_handler(
        self, name: str, request: protocols.Request, handler: OperationHandler
    ) -> protocols.Response | None:
        try:
            return protocols.render(request, handler(request.parameters()))
        except NotHandled:
            return None
        except Exception as error:
            return protocols.render_error(request.protocol, self._aws_error(name, error))

    def _aws_error(self, name: str, error: Exception) -> AwsError:
        """`error` as an AwsError: itself, moto's error by its type, or an InternalFailure of the emulator."""
        if isinstance(error, AwsError):
            return error
        kind = getattr(error, "error_type", None) or getattr(error, "code", None)
        if type(error).__module__.startswith("moto.") and isinstance(kind, str):
            return AwsError(kind, str(getattr(error, "message", error)))
        self._log_call(name, 501, time.perf_counter(), traceback.format_exc())
        # 501, because the SDKs do not retry it: another attempt would fail the same way.
        return AwsError("InternalFailure", f"the AWS emulator cannot do {name}: {type(error).__name__}: {error}", 501)

    def _respond(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        started: float,
        name: str,
        response: protocols.Response,
    ) -> Iterable[bytes]:
        status, headers, body = response
        start_response(_status_line(status), [*headers.items(), ("Content-Length", str(len(body)))])
        self._log_call(name, status, started, headers.get("x-amzn-ErrorType"))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _call_moto(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        started: float,
        name: str,
        request: protocols.Request,
    ) -> Iterable[bytes]:
        statuses: list[int] = []

        def record_status(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(int(status.split(" ", 1)[0]))
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        try:
            if request.service in self._prepare:
                self._prepare[request.service]()
            result = self._moto(environ, record_status)
        except Exception as error:
            response = protocols.render_error(request.protocol, self._aws_error(name, error))
            return self._respond(environ, start_response, started, name, response)
        status = statuses[0] if statuses else 200
        self._log_call(name, status, started, None)
        return result

    def _log_call(self, name: str, status: int, started: float, error: str | None) -> None:
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


def _status_line(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"
