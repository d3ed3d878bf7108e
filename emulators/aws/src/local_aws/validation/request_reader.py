"""Reads the AWS call in an HTTP request once, for validation and for authorization: its operation and its input.

The body stays readable for the handlers. Checks no constraint and decides nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from local_aws import protocols
from local_aws.validation import request_input, service_models
from local_aws.validation.request_input import UnreadBody

_KEY = "local_aws.input"
_LONGEST_BODY = 64 << 20  # bytes; longer bodies are objects and archives
_SIGNATURES = {"signature", "x-amz-signature"}  # of presigned URLs, versions 2 and 4


def read(environ: dict[str, Any], request: protocols.Request) -> tuple[Any, dict[str, Any]]:
    """The operation's model and the input by its API names, read once for each request.

    (None, {}) if no operation of the service's model has this request line, or the service has no model.

    Raises:
        Malformed, WrongType, UnknownMember: as `request_input` does.
    """
    read_before = environ.setdefault(_KEY, {})
    if request.service not in read_before:
        read_before[request.service] = _read(environ, request)
    operation, values = read_before[request.service]
    return operation, dict(values)


def is_unsigned_rest(environ: Mapping[str, Any], request: protocols.Request) -> bool:
    """Whether the request is of a REST protocol and has no signature: an anonymous one, or the emulator's own."""
    names = {name.lower() for name in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)}
    return request.protocol.startswith("rest") and "HTTP_AUTHORIZATION" not in environ and not names & _SIGNATURES


def _read(environ: dict[str, Any], request: protocols.Request) -> tuple[Any, dict[str, Any]]:
    if request.protocol not in _READERS:
        return _read_rest(environ, request)
    operation = service_models.operation_model(request.service, request.operation)
    if operation is None:
        return None, {}
    return operation, _READERS[request.protocol](operation, _body(environ, request))


def _read_rest(environ: dict[str, Any], request: protocols.Request) -> tuple[Any, dict[str, Any]]:
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    found = service_models.route(
        request.service, environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"), query, headers
    )
    if found is None:
        return None, {}
    operation, labels = found
    labels = {key: _decode(value) for key, value in labels.items()}
    body = _body(environ, request) if _needs_body(operation) else UnreadBody()
    return operation, request_input.from_rest(operation, labels, query, headers, body)


def _decode(value: str) -> str:
    """A label as text: WSGI gives the bytes of a path as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return value


def _needs_body(operation: Any) -> bool:
    shape = operation.input_shape
    if shape is None:
        return False
    payload = shape.serialization.get("payload")
    if payload is not None:
        return bool(shape.members[payload].type_name != "blob")
    return any(member.serialization.get("location") is None for member in shape.members.values())


def _body(environ: dict[str, Any], request: protocols.Request) -> bytes:
    """The request's body, which stays readable for the handlers."""
    if request.body is not None:
        return request.body
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > _LONGEST_BODY:
        return b""
    body: bytes = environ["wsgi.input"].read(length)
    environ["wsgi.input"] = io.BytesIO(body)
    return body


_READERS: Mapping[str, Callable[[Any, bytes], dict[str, Any]]] = {
    "json": request_input.from_json,
    "query": request_input.from_query,
    "cbor": request_input.from_cbor,
}
