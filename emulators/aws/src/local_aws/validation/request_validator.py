"""The WSGI application in front of the dispatcher: refuses requests that the service's model does not allow.

Checks form only, and before authorization, as AWS does. `check_rules` checks the service rules, which read the state of
the account, of an authorized request.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local_aws import protocols
from local_aws.dispatcher import Dispatcher
from local_aws.errors import AwsError
from local_aws.service_rules import checks
from local_aws.validation import request_input, request_reader
from local_aws.validation.constraints import UnknownMember, WrongType, find_failures, message

_CODES = {
    "logs": "InvalidParameterException",
    "monitoring": "ValidationError",
    "sagemaker-runtime": "ValidationError",
}
"""Services whose validation errors have another code than those of their protocol."""
_MALFORMED_XML = "The XML you provided was not well-formed or did not validate against our published schema"


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
                _check_model(request, operation, values)
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


def check_rules(environ: dict[str, Any], request: protocols.Request) -> None:
    """Returns if no service rule refuses the request, whose form was checked before.

    Raises:
        AwsError: the first rule that refuses it, in AWS's words.
    """
    operation, values = _read_input(request, environ)
    if operation is not None:
        checks.check(operation.service_model.service_name, operation.name, values)


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
    """The operation and its input; (None, {}) if the request is not to be checked: it is unknown or not signed."""
    if request_reader.is_unsigned_rest(environ, request):
        return None, {}
    try:
        return request_reader.read(environ, request)
    except request_input.Malformed as error:
        if request.protocol == "rest-xml":
            raise AwsError("MalformedXML", _MALFORMED_XML) from error
        raise AwsError(_type_error_code(request), str(error)) from error
    except WrongType as error:
        raise AwsError(_type_error_code(request), str(error)) from error
    except UnknownMember as error:
        raise AwsError(_code(request), str(error)) from error
