"""One AWS call as authorization sees it: service, operation and parameters, read from an HTTP request.

Reads the body only where the parameters that decide are in it; a body that was read is put back. Decides nothing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from local_aws import protocols
from local_aws.authorization import rest_operations
from local_aws.errors import AwsError

_SERVICES = {"monitoring": "cloudwatch"}  # names in signatures that differ from those of service models
_BODIES = {("s3", "DeleteObjects")}
_REST_JSON_BODIES = ("lambda",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operation of a service with its parameters by their API names."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    account: str
    region: str

    @property
    def name(self) -> str:
        """`service:Operation`."""
        return f"{self.service}:{self.operation}"

    def text(self, member: str) -> str:
        """A parameter as text; '' if it is not given."""
        value = self.parameters.get(member)
        return "" if value is None else str(value)


def read(environ: dict[str, Any], request: protocols.Request, *, account: str, region: str) -> Call:
    """The call of `request`; its operation is '' if no operation of the service's model has this method and path."""
    service = _SERVICES.get(request.service, request.service)
    operation, parameters = request.operation, dict[str, Any]()
    if request.protocol == "json":
        parameters = _json(request.body)
    elif request.protocol == "query":
        parameters = request.parameters()
    elif request.protocol == "cbor":
        parameters = _cbor(_read_body(environ))
    else:
        operation, parameters = _rest(environ, service)
    return Call(service=service, operation=operation, parameters=parameters, account=account, region=region)


def _rest(environ: dict[str, Any], service: str) -> tuple[str, dict[str, Any]]:
    path = environ.get("PATH_INFO", "/").encode("latin-1").decode("utf-8", "replace")
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    found = rest_operations.find(service, environ["REQUEST_METHOD"], path, query, environ)
    if found is None:
        return "", {}
    operation, parameters = found
    if (service, operation) in _BODIES:
        parameters |= _parsed_xml(service, operation, _read_body(environ))
    elif service in _REST_JSON_BODIES and operation != "Invoke":
        parameters |= _json(_read_body(environ))
    return operation, parameters


def _read_body(environ: dict[str, Any]) -> bytes:
    data: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(data)
    return data


def _json(body: bytes | None) -> dict[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", f"the request's body is not JSON: {error}") from error
    return document if isinstance(document, dict) else {}


def _cbor(body: bytes) -> dict[str, Any]:
    from botocore.parsers import RpcV2CBORParser

    parser = RpcV2CBORParser()
    document = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}
    return document if isinstance(document, dict) else {}


def _parsed_xml(service: str, operation: str, body: bytes) -> dict[str, Any]:
    from moto.core.parse import PROTOCOL_PARSERS
    from moto.core.utils import get_service_model

    parser = PROTOCOL_PARSERS["rest-xml"](get_service_model(service).operation_model(operation), map_type=dict)
    parsed: dict[str, Any] = parser.parse(
        {"method": "POST", "values": {}, "headers": {}, "body": body, "url_path": "/", "url_params": {}}
    )
    return {name: value for name, value in parsed.items() if value is not None}
