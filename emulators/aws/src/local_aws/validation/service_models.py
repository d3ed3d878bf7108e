"""botocore's service models by the service's name in a request, with the constraints that they lack.

Loads nothing but models; checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_NAMES = {
    "email": "ses",
    "monitoring": "cloudwatch",
    "servicequotas": "service-quotas",
    "states": "stepfunctions",
}
"""Services whose name in signatures differs from that of their model."""
_LABEL = re.compile(r"\{(\w+)(\+?)\}")


@dataclass(frozen=True, kw_only=True)
class Route:
    """The request line of one operation of a REST service: method, path and the query parameters that name it.

    `needed` are the headers (in lower case) and query parameters that the operation requires: they distinguish
    CopyObject from PutObject.
    """

    operation: Any
    method: str
    path: re.Pattern[str]
    query: Mapping[str, str | None]
    needed: frozenset[str]


@cache
def model(service: str, *, target: bool = True) -> Any | None:
    """botocore's model of the service; None if it has none.

    Args:
        target: whether the request names its operation in a header. SageMaker's runtime, which has the same name in
            signatures, does not.
    """
    import botocore.session
    from botocore.exceptions import UnknownServiceError

    name = "sagemaker-runtime" if service == "sagemaker" and not target else _NAMES.get(service, service)
    try:
        return botocore.session.Session().get_service_model(name)
    except UnknownServiceError:
        return None


def operation_model(service: str, operation: str) -> Any | None:
    """botocore's model of an operation that the request names; None if the service has none of that name."""
    found = model(service)
    return found.operation_model(operation) if found is not None and operation in found.operation_names else None


def route(
    service: str, method: str, path: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> tuple[Any, dict[str, str]] | None:
    """The operation of a REST request and the labels of its path; None if no operation has that request line."""
    incomplete: tuple[Any, dict[str, str]] | None = None
    for candidate in _routes(service):
        if candidate.method != method:
            continue
        match = candidate.path.fullmatch(path)
        if match and all(
            key in query and (value is None or value in query[key]) for key, value in candidate.query.items()
        ):
            labels = {key: unquote(value) for key, value in match.groupdict().items()}
            if all(name in headers or name in query for name in candidate.needed):
                return candidate.operation, labels
            incomplete = incomplete or (candidate.operation, labels)
    return incomplete


@cache
def _routes(service: str) -> tuple[Route, ...]:
    """The routes of a service, those with more fixed parts first, and deprecated operations last."""
    found = model(service, target=False)
    routes = [] if found is None else [_route_of(found.operation_model(name)) for name in found.operation_names]
    return tuple(sorted(routes, key=_specificity))


def _route_of(operation: Any) -> Route:
    uri = urlsplit(operation.http["requestUri"])
    pieces, at = [], 0
    for label in _LABEL.finditer(uri.path):
        pieces.append(re.escape(uri.path[at : label.start()]))
        pieces.append(f"(?P<{label[1]}>{'.+' if label[2] else '[^/]+'})")
        at = label.end()
    pieces.append(re.escape(uri.path[at:]).removesuffix("/") + "/?")
    fixed = {key: values[0] or None for key, values in parse_qs(uri.query, keep_blank_values=True).items()}
    return Route(
        operation=operation,
        method=operation.http["method"],
        path=re.compile("".join(pieces)),
        query=fixed,
        needed=frozenset(_needed(operation.input_shape)),
    )


def _needed(shape: Any) -> Iterator[str]:
    for name in shape.required_members if shape is not None else ():
        serialization = shape.members[name].serialization
        wire_name = serialization.get("name", name)
        if serialization.get("location") in ("header", "querystring"):
            yield wire_name.lower() if serialization["location"] == "header" else wire_name


def _specificity(route: Route) -> tuple[bool, int, int, int, int]:
    """The order in which routes are tried: a deprecated operation has the request line of the one that replaces it."""
    return (
        route.operation.deprecated,
        -len(route.query),
        -len(route.needed),
        route.path.groups,
        -len(route.path.pattern),
    )
