"""Reads from a CloudFormation template what each of its roles is meant to be allowed. Pure: calls no service.

It resolves the intrinsic functions that policies of infra/*.yaml use, with the values of the deployed stack. Each
statement becomes requests that it allows: its actions, concrete resources, and values for its condition keys.
"""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ml.diagnosis.template_values import Template
from ml.errors import ConfigError

ROLE = "AWS::IAM::Role"
_SAMPLE = "x"  # stands for what a wildcard matches
_ACCOUNT_FIELD = 4  # of an ARN
_MULTI_VALUED = "ForAnyValue:"
_POSITIVE = ("StringEquals", "StringLike", "ArnEquals", "ArnLike", "Bool")


@dataclass(frozen=True, kw_only=True)
class Request:
    """Actions on resources that one statement of a role allows, under these values of condition keys.

    The value of a multi-valued key is a tuple.
    """

    statement: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    context: Mapping[str, str | tuple[str, ...]]


def requests(template: Template, role: str) -> list[Request]:
    """The requests that the role with this logical id is meant to be allowed; what it is denied is left out.

    Raises:
        ConfigError: a policy uses a function or a condition operator that is not supported.
    """
    statements = _statements(template, role)
    denied = [
        (_listed(item["Action"]), [str(part) for part in _listed(item["Resource"])])
        for item in statements
        if item["Effect"] == "Deny"
    ]
    return [
        request
        for number, item in enumerate(statements, 1)
        if item["Effect"] == "Allow"
        for request in _requests(template, str(item.get("Sid", f"statement {number}")), item, denied)
    ]


def _statements(template: Template, role: str) -> list[Mapping[str, Any]]:
    """The resolved statements of a role's own policies, of its managed ones and of the policies that name it."""
    properties = template.resources[role].get("Properties", {})
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
    attached = {item["Ref"] for item in properties.get("ManagedPolicyArns", []) if isinstance(item, dict)}
    documents += [
        item["Properties"]["PolicyDocument"]
        for name, item in template.resources.items()
        if item["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        and (name in attached or {"Ref": role} in item["Properties"].get("Roles", []))
        and template.is_made(name)
    ]
    return [statement for document in documents for statement in template.value(document)["Statement"]]


def _requests(
    template: Template, name: str, statement: Mapping[str, Any], denied: list[tuple[list[str], list[str]]]
) -> Iterator[Request]:
    resources = [_concrete(str(part), template.account) for part in _listed(statement["Resource"])]
    # Actions with the same resources are one request: each call of the simulator takes time.
    actions: dict[tuple[str, ...], list[str]] = {}
    for action in _listed(statement["Action"]):
        kept = tuple(part for part in resources if not _is_denied(denied, action, part))
        if kept:
            actions.setdefault(kept, []).append(action)
    for context in _contexts(name, statement.get("Condition") or {}):
        for kept, named in actions.items():
            yield Request(statement=name, actions=tuple(named), resources=kept, context=context)


def _is_denied(denied: list[tuple[list[str], list[str]]], action: str, resource: str) -> bool:
    return any(
        any(fnmatch.fnmatchcase(action, pattern) for pattern in actions)
        and any(fnmatch.fnmatchcase(resource, pattern) for pattern in resources)
        for actions, resources in denied
    )


def _contexts(statement: str, condition: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, str | tuple[str, ...]]]:
    """One set of context values for each combination of the values that the condition accepts."""
    keys: dict[str, list[str | tuple[str, ...]]] = {}
    for operator, tests in condition.items():
        if operator.removeprefix(_MULTI_VALUED) not in _POSITIVE:
            raise ConfigError(f"{statement}: the condition operator {operator} is not supported")
        for key, accepted in tests.items():
            values = [str(value).replace("*", _SAMPLE) for value in _listed(accepted)]
            keys[key] = [(value,) for value in values] if operator.startswith(_MULTI_VALUED) else list(values)
    for chosen in itertools.product(*keys.values()):
        yield dict(zip(keys, chosen, strict=True))


def _concrete(resource: str, account: str) -> str:
    """A resource that the pattern matches; `*` alone stays, for actions without resource types."""
    if resource == "*":
        return resource
    parts = resource.split(":", 5)
    if len(parts) > _ACCOUNT_FIELD and parts[_ACCOUNT_FIELD] == "*":
        parts[_ACCOUNT_FIELD] = account
    return ":".join(parts).replace("*", _SAMPLE)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
