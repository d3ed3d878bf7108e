"""The WSGI application in front of the dispatcher: refuses what AWS would refuse, before a handler sees it.

Checks each request against its service's model and against the service rules. Answers nothing else.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs

from local_aws import protocols
from local_aws.dispatcher import Dispatcher
from local_aws.errors import AwsError
from local_aws.service_rules import checks
from local_aws.validation import request_input, service_models
from local_aws.validation.constraints import UnknownMember, WrongType, find_failures, message
from local_aws.validation.request_input import UnreadBody

_CODES = {
    "logs": "InvalidParameterException",
    "monitoring": "ValidationError",
    "sagemaker-runtime": "ValidationError",
}
"""Services whose validation errors have another code than those of their protocol."""
_MALFORMED_XML = "The XML you provided was not well-formed or did not validate against our published schema"
_LONGEST_BODY = 64 << 20  # bytes; longer bodies are objects and archives


class RequestValidator:
    """Passes valid requests to the dispatcher."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The WSGI entry point."""
        try:
            protocols.decompress(environ)
        except AwsError as error:
            return self._refuse(environ, start_response, protocols.read(environ), error)
        request = protocols.read(environ)
        if request.body is not None:
            environ["wsgi.input"] = io.BytesIO(request.body)
        try:
            operation, values = _read_input(request, environ)
            if operation is not None:
                service = operation.service_model.service_name
                _check_model(request, operation, values)
                checks.check(service, operation.name, values)
        except Exception as error:
            return self._refuse(environ, start_response, request, error)
        return self._dispatcher(environ, start_response)

    def _refuse(
        self,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
        request: protocols.Request,
        error: Exception,
    ) -> Iterable[bytes]:
        line = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '/')}"
        name = f"{request.service}:{request.operation or line}"
        return self._dispatcher.refuse(environ, start_response, request, name, error)


def _check_model(request: protocols.Request, operation: Any, values: Mapping[str, Any]) -> None:
    shape, code = operation.input_shape, _code(request)
    try:
        failures = find_failures(shape, values) if shape is not None else []
    except WrongType as error:
        raise AwsError(_type_error_code(request), str(error)) from error
    except UnknownMember as error:
        raise AwsError(code, str(error)) from error
    if not failures:
        return
    if request.protocol == "rest-xml":
        payload = shape.serialization.get("payload")
        if payload is not None and any(f"'{payload[:1].lower()}{payload[1:]}." in text for text in failures):
            raise AwsError("MalformedXML", _MALFORMED_XML)
        raise AwsError("InvalidArgument", message(failures))
    raise AwsError(code, message(failures))


def _code(request: protocols.Request) -> str:
    default = "ValidationError" if request.protocol == "query" else "ValidationException"
    service = "sagemaker-runtime" if (request.service, request.operation) == ("sagemaker", "") else request.service
    return _CODES.get(service, default)


def _type_error_code(request: protocols.Request) -> str:
    return {"query": "MalformedInput", "rest-xml": "InvalidArgument"}.get(request.protocol, "SerializationException")


def _read_input(request: protocols.Request, environ: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The operation and its input; (None, {}) if the request is not one of AWS, or of a service without a model."""
    try:
        if request.protocol in ("json", "query", "cbor"):
            operation = service_models.operation_model(request.service, request.operation)
            if operation is None:
                return None, {}
            return operation, _READERS[request.protocol](operation, _body(request, environ))
        return _read_rest(request, environ)
    except request_input.Malformed as error:
        if request.protocol == "rest-xml":
            raise AwsError("MalformedXML", _MALFORMED_XML) from error
        raise AwsError("SerializationException", str(error)) from error
    except WrongType as error:
        raise AwsError(_type_error_code(request), str(error)) from error
    except UnknownMember as error:
        raise AwsError(_code(request), str(error)) from error


def _read_rest(request: protocols.Request, environ: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if "HTTP_AUTHORIZATION" not in environ and not any(key.lower() == "x-amz-signature" for key in query):
        return None, {}  # the emulator's own paths, and moto's
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    if not headers["content-type"]:
        del headers["content-type"]
    found = service_models.route(
        request.service, environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/"), query, headers
    )
    if found is None:
        return None, {}
    operation, labels = found
    labels = {key: _decode(value) for key, value in labels.items()}
    body = _body(request, environ) if _needs_body(operation) else UnreadBody()
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


def _body(request: protocols.Request, environ: dict[str, Any]) -> bytes:
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
