"""Reads the input of a request by the member names of its operation, with nothing dropped, converted or filled in.

moto's own parsers ignore what a model does not know; these report it. Checks no constraint.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from local_aws.validation.constraints import UnknownMember, WrongType

_IGNORED = {"Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "Timestamp"}
_MAX_XML_BYTES = 1 << 20


class UnreadBody:
    """Stands for a body that is an object, an archive or a model's input, whose size its handler limits."""


class Malformed(Exception):
    """The body is not what the protocol says."""


def from_json(operation: Any, body: bytes) -> dict[str, Any]:
    """The input in a JSON body.

    Raises:
        Malformed: it is not JSON.
        WrongType: it is not an object.
    """
    renamed: dict[str, Any] = _rename(operation.input_shape, _load_json(body))
    return renamed


def from_query(operation: Any, body: bytes) -> dict[str, Any]:
    """The input in a form of the query protocol.

    Raises:
        Malformed: it is not UTF-8, as it is sent or once percent-decoded.
        UnknownMember: a parameter belongs to no member.
        WrongType: a number is none.
    """
    from moto.core.parse import QueryParser
    from moto.core.utils import get_service_model

    model = get_service_model(operation.service_model.service_name).operation_model(operation.name)
    try:
        read = parse_qs(body.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed(f"the request's form is not UTF-8: {error}") from error
    form = {key: values[0] for key, values in read.items()}
    values = _Form({key: value for key, value in form.items() if key not in _IGNORED})
    try:
        parsed: dict[str, Any] = QueryParser(model, map_type=dict).parse({"values": values})
    except ValueError as error:
        raise WrongType(f"a number is malformed: {error}") from error
    if unknown := sorted(set(values) - values.read):
        known = ", ".join(operation.input_shape.members) if operation.input_shape else ""
        raise UnknownMember(f'Unknown parameter in input: "{unknown[0]}", must be one of: {known}')
    return parsed


def from_cbor(operation: Any, body: bytes) -> dict[str, Any]:
    """The input in a CBOR body.

    Raises:
        Malformed: it is not CBOR.
        WrongType: it is not a map.
    """
    from botocore.parsers import ResponseParserError, RpcV2CBORParser

    parser = RpcV2CBORParser()
    try:
        values = parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}
    except ResponseParserError as error:
        raise Malformed(f"the request's body is not CBOR: {error}") from error
    if not isinstance(values, dict):
        raise WrongType("Start of structure or map expected")
    renamed: dict[str, Any] = _rename(operation.input_shape, values)
    return renamed


def from_rest(
    operation: Any,
    labels: Mapping[str, str],
    query: Mapping[str, list[str]],
    headers: Mapping[str, str],
    body: bytes | UnreadBody,
) -> dict[str, Any]:
    """The input in path, query, headers and body of a REST request.

    Raises:
        Malformed: the body is neither JSON nor XML, as the service has it.
        WrongType: a value has a type that its member cannot have.
        UnknownMember: the body has a member that the model does not know.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    in_body = {}
    for name, member in shape.members.items():
        location, wire_name = member.serialization.get("location"), member.serialization.get("name", name)
        if location == "uri":
            found[name] = _from_text(member, labels.get(wire_name))
        elif location == "querystring":
            found[name] = _from_query_string(member, query, wire_name)
        elif location == "header":
            found[name] = _from_text(member, headers.get(wire_name.lower()))
        elif location == "headers":
            prefix = wire_name.lower()
            found[name] = {key.removeprefix(prefix): text for key, text in headers.items() if key.startswith(prefix)}
        elif location is None:
            in_body[name] = member
    payload = shape.serialization.get("payload")
    if isinstance(body, UnreadBody):
        found |= {} if payload is None else {payload: body}
    elif payload is not None:
        found[payload] = _payload(operation, shape.members[payload], body)
    elif in_body and body and operation.service_model.protocol != "rest-xml":
        found |= _body_members(in_body, _load_json(body))
    return {name: value for name, value in found.items() if value is not None}


def _payload(operation: Any, member: Any, body: bytes) -> Any:
    """The value of the member that is the whole body."""
    if member.type_name == "string":
        return body.decode(errors="replace")
    if not body or member.serialization.get("eventstream"):
        return None
    return (
        _from_xml(member, body) if operation.service_model.protocol == "rest-xml" else _rename(member, _load_json(body))
    )


def _body_members(members: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a JSON body beside those in path, query and headers."""
    known = {member.serialization.get("name", name): name for name, member in members.items()}
    if unknown := sorted(set(values) - set(known)):
        raise UnknownMember(f'Unknown parameter in input: "{unknown[0]}", must be one of: {", ".join(known)}')
    return {known[key]: _rename(members[known[key]], value) for key, value in values.items()}


def _load_json(body: bytes) -> Any:
    try:
        values = json.loads(body or b"{}")
    except ValueError as error:
        raise Malformed(f"the request's body is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise WrongType("Start of structure or map expected")
    return values


def _rename(shape: Any, value: Any) -> Any:
    """`value` with members by their API names, and blobs as bytes; unknown members keep their names."""
    if shape is None or value is None:
        return {} if value is None and shape is None else value
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict) and not shape.is_document_type:
        names = {member.serialization.get("name", name): name for name, member in shape.members.items()}
        return {
            names.get(key, key): _rename(shape.members[names[key]], item) if key in names else item
            for key, item in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_rename(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: _rename(shape.value, item) for key, item in value.items()}
    if kind == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise WrongType(f"a value is not base64: {error}") from error
    return value


def _from_text(member: Any, text: str | None) -> Any:
    """The value of a label, header or query parameter."""
    if text is None:
        return None
    kind = member.type_name
    if kind in ("integer", "long"):
        try:
            return int(text)
        except ValueError as error:
            raise WrongType(
                f"STRING_VALUE can not be converted to a{'n' if kind == 'integer' else ''} {kind.title()}"
            ) from error
    if kind == "boolean":
        if text.lower() not in ("true", "false"):
            raise WrongType("STRING_VALUE can not be converted to a Boolean")
        return text.lower() == "true"
    return text if kind == "string" else None


def _from_query_string(member: Any, query: Mapping[str, list[str]], name: str) -> Any:
    if name not in query:
        return None
    if member.type_name == "list":
        return [_from_text(member.member, text) for text in query[name]]
    return _from_text(member, query[name][0])


def _from_xml(shape: Any, body: bytes) -> dict[str, Any] | None:
    from moto.core.parse import RequestParserError, RestXMLParser

    if len(body) > _MAX_XML_BYTES:
        return None
    try:
        node = ElementTree.fromstring(body)  # noqa: S314 - bounded, from loopback; expat limits entity expansion
        parsed: dict[str, Any] = RestXMLParser(None)._parse_shape(shape, node)
    except (ElementTree.ParseError, RequestParserError, ValueError) as error:
        raise Malformed(str(error)) from error
    return parsed


class _Form(dict[str, str]):
    """A form that knows which of its keys were read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        """The value, noted as read."""
        if key in self:
            self.read.add(key)
        return super().get(key, default)
