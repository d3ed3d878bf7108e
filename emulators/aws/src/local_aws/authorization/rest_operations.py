"""Finds the operation of a REST request by method, path, query and headers, as botocore's service models define it.

Returns the parameters in the path, the query and the headers; never reads a body. moto finds operations too, but only
when it answers them, which is after authorization.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, slots=True)
class _Route:
    """One operation: `fixed` are the query's constants, `required` the query names it cannot do without."""

    operation: str
    path: re.Pattern[str]
    fixed: Mapping[str, str]
    required: frozenset[str]
    required_headers: frozenset[str]
    query_members: Mapping[str, str]
    header_members: Mapping[str, str]

    @property
    def precision(self) -> int:
        """How much the route asks of a request: of all that match, the one that asks most is meant."""
        return 100 * len(self.fixed) + 10 * len(self.required_headers) + len(self.required)


def find(
    service: str, method: str, path: str, query: Mapping[str, Sequence[str]], environ: Mapping[str, Any]
) -> tuple[str, dict[str, Any]] | None:
    """The operation and its parameters by their API names; None if the service has no such operation.

    Args:
        path: decoded.
        environ: WSGI's, for the headers.
    """
    for route in _routes(service).get(method, ()):
        if not (route.fixed.keys() <= query.keys() and route.required <= query.keys()):
            continue
        if any(value and value not in query[name] for name, value in route.fixed.items()):
            continue
        if not all(name in environ for name in route.required_headers):
            continue
        match = route.path.fullmatch(path)
        if match is None:
            continue
        parameters: dict[str, Any] = match.groupdict()
        parameters |= {member: query[name][0] for name, member in route.query_members.items() if name in query}
        parameters |= {member: environ[name] for name, member in route.header_members.items() if name in environ}
        return route.operation, parameters
    return None


@lru_cache(maxsize=32)
def _routes(service: str) -> Mapping[str, Sequence[_Route]]:
    """The routes of a service by method, the most precise first; none for a service without a model."""
    from botocore.exceptions import UnknownServiceError
    from moto.core.utils import get_service_model

    try:
        model = get_service_model(service)
    except UnknownServiceError:
        return {}
    routes: dict[str, list[_Route]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        routes.setdefault(operation.http["method"], []).append(_route(name, operation))
    return {method: sorted(found, key=lambda r: r.precision, reverse=True) for method, found in routes.items()}


def _route(name: str, operation: Any) -> _Route:
    path, _, constants = operation.http["requestUri"].partition("?")
    fixed = dict(part.partition("=")[::2] for part in constants.split("&") if part)
    fixed.pop("x-id", None)  # some SDKs send it, others do not
    query, headers, required, required_headers = dict[str, str](), dict[str, str](), set[str](), set[str]()
    shape = operation.input_shape
    for member, found in shape.members.items() if shape is not None else ():
        location, wire = found.serialization.get("location"), found.serialization.get("name", member)
        is_required = member in shape.required_members
        if location == "querystring":
            query[wire] = member
            required |= {wire} if is_required else set()
        elif location == "header":
            variable = f"HTTP_{wire.upper().replace('-', '_')}"
            headers[variable] = member
            required_headers |= {variable} if is_required else set()
    return _Route(name, _path(path), fixed, frozenset(required), frozenset(required_headers), query, headers)


def _path(template: str) -> re.Pattern[str]:
    pattern, position = "", 0
    for label in _LABEL.finditer(template):
        pattern += re.escape(template[position : label.start()])
        pattern += f"(?P<{label[1]}>.+)" if label[2] else f"(?P<{label[1]}>[^/]+)"
        position = label.end()
    pattern += re.escape(template[position:])
    return re.compile(pattern.removesuffix("/") + "/?" if not pattern.endswith(".+)") else pattern, re.DOTALL)
