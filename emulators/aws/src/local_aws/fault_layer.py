"""The WSGI application at the HTTP door that applies the faults of API calls; see `local_aws.faults`.

Requests without a fault pass unchanged. The emulator's own calls and its control paths get no faults.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Iterable
from typing import Any

from local_aws import protocols
from local_aws.errors import AwsError
from local_aws.faults import FaultPlan
from local_aws.http_server import CLOSE, ConnectionDropped
from local_aws.validation import request_input, request_reader
from local_aws.validation.constraints import UnknownMember, WrongType

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Answer = tuple[str, list[tuple[str, str]], bytes]
"""Status line, headers and body of a response."""
_CONTROL = "/local-aws/"
_PATHS = {"/endpoints/": ("sagemaker-runtime", "InvokeEndpoint"), "/2015-03-31/functions/": ("lambda", "Invoke")}
_EXPIRED = {"s3": "ExpiredToken", "sts": "ExpiredToken"}
_EXPIRED_MESSAGE = "The security token included in the request is expired"


class FaultLayer:
    """Passes requests to `application`, with the faults of `plan`.

    Args:
        internal_key: returns the access key of the emulator's own calls.
    """

    def __init__(self, application: Application, plan: FaultPlan, *, internal_key: Callable[[], str]) -> None:
        self._application, self._plan, self._internal_key = application, plan, internal_key
        self._former: dict[str | None, Answer] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Forgets former answers, which stale ones repeat."""
        with self._lock:
            self._former.clear()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI entry point."""
        if not self._plan.active or environ.get("PATH_INFO", "").startswith(_CONTROL):
            return self._application(environ, start_response)
        request = protocols.read(environ)
        if request.body is not None:
            environ["wsgi.input"] = io.BytesIO(request.body)
        if request.access_key is not None and request.access_key == self._internal_key():
            return self._application(environ, start_response)
        service, operation = _name(environ, request)
        key = self._key(environ, request, service, operation)
        rule = self._plan.take(
            service,
            operation,
            user_agent=environ.get("HTTP_USER_AGENT", ""),
            without=() if key in self._former else ("stale",),
        )
        fault = rule.fault if rule else ""
        refusal = _refusal(fault, service)
        if refusal is not None:
            return _send(protocols.render_error(request.protocol, refusal), environ, start_response)
        if fault == "reset":
            raise ConnectionDropped
        answer = self._former[key] if fault == "stale" and key else self._call(environ, key)
        if fault == "lost_answer":
            raise ConnectionDropped
        if fault == "error_after":
            return _send(protocols.render_error(request.protocol, _failure()), environ, start_response)
        return _respond(answer, environ, start_response, truncated=fault == "truncated")

    def _key(self, environ: dict[str, Any], request: protocols.Request, service: str, operation: str) -> str | None:
        """Names equal requests; None where no rule makes their answers stale."""
        if not self._plan.wants(service, operation, "stale"):
            return None
        digest = hashlib.sha256(request.body or b"").hexdigest()
        return f"{service} {operation} {environ.get('PATH_INFO')} {environ.get('QUERY_STRING')} {digest}"

    def _call(self, environ: dict[str, Any], key: str | None) -> Answer:
        head: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            head.append((status, list(headers)))

        content = b"".join(self._application(environ, begin))
        answer = (*head[-1], content)
        if key is not None:
            with self._lock:
                self._former[key] = answer
        return answer


def _name(environ: dict[str, Any], request: protocols.Request) -> tuple[str, str]:
    """Service and operation of a request; the operation is '' if no service's model has it."""
    path = environ.get("PATH_INFO", "/")
    for prefix, named in _PATHS.items():
        if path.startswith(prefix):
            return named
    if request.operation:
        return request.service, request.operation
    try:
        operation, _ = request_reader.read(environ, request)
    except (request_input.Malformed, WrongType, UnknownMember):  # the validator behind this layer refuses it
        return request.service, ""
    return request.service, operation.name if operation is not None else ""


def _refusal(fault: str, service: str) -> AwsError | None:
    if fault == "throttling":
        if service == "s3":
            return AwsError("SlowDown", "Please reduce your request rate.", 503)
        return AwsError("ThrottlingException", "Rate exceeded", 400)
    if fault == "server_error":
        return _failure()
    if fault == "unavailable":
        return AwsError("ServiceUnavailable", "Service is unable to handle request.", 503)
    if fault == "expired_credentials":
        return AwsError(_EXPIRED.get(service, "ExpiredTokenException"), _EXPIRED_MESSAGE, 400)
    return None


def _failure() -> AwsError:
    return AwsError("InternalFailure", "The request processing has failed because of an unknown error.", 500)


def _respond(
    answer: Answer, environ: dict[str, Any], start_response: Callable[..., Any], *, truncated: bool
) -> Iterable[bytes]:
    status, headers, content = answer
    if truncated and environ["REQUEST_METHOD"] != "HEAD":
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        environ[CLOSE] = True
        # At least one byte is missing, also of an empty body.
        headers.append(("Content-Length", str(max(len(content), 1))))
        content = content[: len(content) // 2]
    start_response(status, headers)
    return [content]


def _send(response: protocols.Response, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, headers, body = response
    start_response(f"{status} Fault", [*headers.items(), ("Content-Length", str(len(body)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
