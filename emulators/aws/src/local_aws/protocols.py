"""AWS's wire protocols: reads the operation and input of an HTTP request, renders results and errors.

Uses moto's parsers and serializers, which follow botocore's service models. Answers no operation itself.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from local_aws.errors import AwsError

_SCOPE = re.compile(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_TARGETS = {"SageMaker": "sagemaker", "AWSEvents": "events"}
_MODELS = {"servicequotas": "service-quotas"}
"""botocore's names of the models of services that sign with another name."""
_LONGEST_CONTENT = 64 << 20  # bytes
_FORM = "application/x-www-form-urlencoded"
_UNSIGNED = {"AssumeRoleWithWebIdentity": "sts", "AssumeRoleWithSAML": "sts"}  # calls that carry no credentials
_SMITHY = re.compile(r"^/service/([^/]+)/operation/([^/]+)$")

Response = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an HTTP response."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """The AWS call in one HTTP request. `operation` is '' if only moto can determine it."""

    service: str
    operation: str
    protocol: str
    access_key: str | None
    body: bytes | None

    def parameters(self) -> dict[str, Any]:
        """The operation's input by its API names; AwsError if the body cannot be parsed."""
        from moto.core.parse import PROTOCOL_PARSERS

        values = parse_qs((self.body or b"").decode(), keep_blank_values=True) if self.protocol == "query" else {}
        parser = PROTOCOL_PARSERS[self.protocol](_model(self.service, self.operation), map_type=dict)
        try:
            parsed: dict[str, Any] = parser.parse(
                {
                    "method": "POST",
                    "values": {key: value[0] for key, value in values.items()},
                    "headers": {},
                    "body": self.body or b"",
                    "url_path": "/",
                    "url_params": {},
                }
            )
        except ValueError as error:
            raise AwsError("SerializationException", f"the request's body is not {self.protocol}: {error}") from error
        return parsed


def read(environ: Mapping[str, Any]) -> Request:
    """The call in `environ`. Reads the body only if a header or the body names the operation."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key, service = (scope[1], scope[3]) if scope else (None, "")
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        prefix, _, operation = target.rpartition(".")
        name = _TARGETS.get(prefix, service or prefix)
        return Request(service=name, operation=operation, protocol="json", access_key=access_key, body=_body(environ))
    if environ.get("CONTENT_TYPE", "").startswith(_FORM):
        body = _body(environ)
        operation = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
        service = service or _UNSIGNED.get(operation, "")
        return Request(service=service, operation=operation, protocol="query", access_key=access_key, body=body)
    if smithy := _SMITHY.match(environ.get("PATH_INFO", "")):
        return Request(service=service, operation=smithy[2], protocol="cbor", access_key=access_key, body=None)
    protocol = "rest-xml" if service in ("", "s3") else "rest-json"
    return Request(service=service or "s3", operation="", protocol=protocol, access_key=access_key, body=None)


def decompress(environ: dict[str, Any]) -> None:
    """Replaces a gzip body by its content. botocore compresses large bodies of PutMetricData.

    S3's bodies stay as they are: there the header describes the object, and is stored with it.

    Raises:
        AwsError: the body is not gzip, or its content is longer than 64 MiB.
    """
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if environ.get("HTTP_CONTENT_ENCODING") != "gzip" or scope is None or scope[3] == "s3":
        return
    try:
        content = gzip.GzipFile(fileobj=io.BytesIO(_body(environ))).read(_LONGEST_CONTENT + 1)
    except (EOFError, OSError, zlib.error) as error:
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(), "0"
        raise AwsError("SerializationException", f"the request's body is not gzip: {error}") from error
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(content), str(len(content))
    del environ["HTTP_CONTENT_ENCODING"]
    if len(content) > _LONGEST_CONTENT:
        raise AwsError("RequestEntityTooLargeException", "the request's decompressed body is longer than 64 MiB", 413)


def read_path(environ: Mapping[str, Any], service: str) -> Request:
    """The call of a `service` whose operation is its path."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    access_key = scope[1] if scope else None
    return Request(service=service, operation="", protocol="rest-json", access_key=access_key, body=None)


def _body(environ: Mapping[str, Any]) -> bytes:
    data: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return data


def _model(service: str, operation: str) -> Any:
    from moto.core.utils import get_service_model

    return get_service_model(_MODELS.get(service, service)).operation_model(operation)


def render(request: Request, result: Mapping[str, Any]) -> Response:
    """The operation's HTTP response for `result`, its members by their API names."""
    from moto.core.serialize import SerializationContext, get_serializer_class

    context = SerializationContext(request_id=str(uuid.uuid4()))
    serializer = get_serializer_class(request.service, request.protocol)
    response = serializer(_model(request.service, request.operation), context=context).serialize(dict(result))
    body = response["body"]
    headers = {**response["headers"], "x-amzn-RequestId": context.request_id}
    return response["status_code"], headers, body.encode() if isinstance(body, str) else body


def render_error(protocol: str, error: AwsError) -> Response:
    """The HTTP response for `error`, in the shape that clients of `protocol` parse."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if protocol == "cbor":
        fault = "Receiver" if error.status >= 500 else "Sender"
        headers |= {
            "Content-Type": "application/cbor",
            "smithy-protocol": "rpc-v2-cbor",
            "x-amzn-query-error": f"{error.code};{fault}",
        }
        return error.status, headers, _cbor_map({"__type": error.code, "message": error.message})
    if protocol in ("query", "rest-xml"):
        headers["Content-Type"] = "text/xml"
        inner = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
        if protocol == "rest-xml":
            text = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
        else:
            fault = "Receiver" if error.status >= 500 else "Sender"
            text = (
                f"<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        return error.status, headers, text.encode()
    headers["Content-Type"] = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
    headers["x-amzn-ErrorType"] = error.code
    document = {"__type": error.code, "message": error.message, "Message": error.message, **error.members}
    return error.status, headers, json.dumps(document).encode()


def _cbor_map(members: Mapping[str, str]) -> bytes:
    """A CBOR map of at most 23 text members (RFC 8949): all that an error needs."""

    def text(value: str) -> bytes:
        data = value.encode()
        return b"\x7a" + len(data).to_bytes(4) + data

    return bytes([0xA0 | len(members)]) + b"".join(text(name) + text(value) for name, value in members.items())
