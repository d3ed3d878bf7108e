"""Condition operators of IAM: how one value of a request compares with one value of a policy.

A comparison is True, False, or None where the two cannot be compared (not a number, not a date, not an address, not an
ARN). A positive operator holds if any value of the policy compares True, a negated one if every value compares False,
so neither holds for a value that cannot be compared. Knows nothing of missing keys and set operators:
`local_aws.iam.conditions` does.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from local_aws.iam.policy_variables import RequestContext, Template, arn_pattern, pattern, plain

Comparison = Callable[[Template, str, RequestContext], bool | None]
"""(value of the policy, value of the request, context for variables) → whether they match."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator: AWS's name, its comparison, whether it is negated, and whether it replaces variables."""

    name: str
    compare: Comparison
    negated: bool = False
    variables: bool = True

    def holds(self, wanted: tuple[Template, ...], value: str, context: RequestContext) -> bool:
        """Whether one value of the request satisfies the operator with any (negated: none) of the policy's values."""
        if self.negated:
            return all(self.compare(each, value, context) is False for each in wanted)
        return any(self.compare(each, value, context) for each in wanted)


def _string_equals(wanted: Template, value: str, context: RequestContext) -> bool:
    resolved = wanted.resolve(context)
    return resolved is not None and plain(resolved) == value


def _string_equals_ignore_case(wanted: Template, value: str, context: RequestContext) -> bool:
    resolved = wanted.resolve(context)
    return resolved is not None and plain(resolved).lower() == value.lower()


def _string_like(wanted: Template, value: str, context: RequestContext) -> bool:
    # A variable without a value is null, to which nothing is equal or like, so that negated operators match:
    # "Policy variables with no value" in "Variables and tags".
    resolved = wanted.resolve(context)
    return resolved is not None and pattern(resolved).fullmatch(value) is not None


def _arn_like(wanted: Template, value: str, context: RequestContext) -> bool | None:
    resolved = wanted.resolve(context)
    if resolved is None:
        return False
    compiled = arn_pattern(resolved)
    if compiled is None or value.count(":") < 5 or not value.startswith("arn:"):
        return None
    return compiled.fullmatch(value) is not None


def _bool(wanted: Template, value: str, context: RequestContext) -> bool | None:
    resolved = wanted.resolve(context)
    if resolved is None:
        return False
    if {resolved.lower(), value.lower()} <= {"true", "false"}:
        return resolved.lower() == value.lower()
    return None


def _binary_equals(wanted: Template, value: str, _: RequestContext) -> bool | None:
    policy, request = _decoded(wanted.source), _decoded(value)
    return None if policy is None or request is None else policy == request


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _ordered(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Comparison:
    def comparison(wanted: Template, value: str, _: RequestContext) -> bool | None:
        policy, request = parse(wanted.source), parse(value)
        return None if policy is None or request is None else compare(request, policy)

    return comparison


@lru_cache(maxsize=4096)
def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


@lru_cache(maxsize=4096)
def _moment(text: str) -> float | None:
    """Seconds since 1970 of a date of https://www.w3.org/TR/NOTE-datetime, or of such a number of seconds."""
    try:
        if re.fullmatch(r"-?\d+(\.\d+)?", text):
            return float(text)
        moment = datetime.fromisoformat(f"{text}-01" if re.fullmatch(r"\d{4}-\d{2}", text) else text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ip_address(wanted: Template, value: str, _: RequestContext) -> bool | None:
    network, address = _network(wanted.source), _network(value)
    if network is None or address is None:
        return None
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(address, ipaddress.IPv4Network) and address.subnet_of(network)
    return isinstance(address, ipaddress.IPv6Network) and address.subnet_of(network)


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)  # host bits may be set: 203.0.113.7/24 is the whole range
    except ValueError:
        return None


def _table() -> dict[str, Operator]:
    operators = [
        Operator("StringEquals", _string_equals),
        Operator("StringNotEquals", _string_equals, negated=True),
        Operator("StringEqualsIgnoreCase", _string_equals_ignore_case),
        Operator("StringNotEqualsIgnoreCase", _string_equals_ignore_case, negated=True),
        Operator("StringLike", _string_like),
        Operator("StringNotLike", _string_like, negated=True),
        Operator("ArnEquals", _arn_like),  # "ArnEquals and ArnLike behave identically"
        Operator("ArnLike", _arn_like),
        Operator("ArnNotEquals", _arn_like, negated=True),
        Operator("ArnNotLike", _arn_like, negated=True),
        Operator("Bool", _bool),
        Operator("BinaryEquals", _binary_equals, variables=False),
        Operator("IpAddress", _ip_address, variables=False),
        Operator("NotIpAddress", _ip_address, negated=True, variables=False),
    ]
    for family, parse in (("Numeric", _number), ("Date", _moment)):
        operators += [
            Operator(f"{family}Equals", _ordered(parse, operator.eq), variables=False),
            Operator(f"{family}NotEquals", _ordered(parse, operator.eq), negated=True, variables=False),
            Operator(f"{family}LessThan", _ordered(parse, operator.lt), variables=False),
            Operator(f"{family}LessThanEquals", _ordered(parse, operator.le), variables=False),
            Operator(f"{family}GreaterThan", _ordered(parse, operator.gt), variables=False),
            Operator(f"{family}GreaterThanEquals", _ordered(parse, operator.ge), variables=False),
        ]
    return {each.name.lower(): each for each in operators}


OPERATORS = _table()
"""Every operator but Null, by its name in lower case."""
