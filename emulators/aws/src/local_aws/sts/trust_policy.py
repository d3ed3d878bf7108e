"""Evaluates a role's trust policy for a federated caller, as IAM does. Decides only; knows no role and no token.

Raises for every element that it cannot evaluate, so that no policy is silently misread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from local_aws.errors import AwsError


def allows(policy: Mapping[str, Any], *, action: str, provider: str, context: Mapping[str, Sequence[str]]) -> bool:
    """Whether `policy` allows `action` to callers from the identity provider with the ARN `provider`; Deny wins.

    Args:
        context: the values of each condition key, by its full name (`token.actions.githubusercontent.com:sub`).

    Raises:
        AwsError: MalformedPolicyDocument, for an operator or element that is not supported.
    """
    allowed = False
    for statement in _list(policy.get("Statement")):
        if not _matches(statement, action, provider, context):
            continue
        if statement.get("Effect") == "Deny":
            return False
        allowed = allowed or statement.get("Effect") == "Allow"
    return allowed


def _matches(statement: Mapping[str, Any], action: str, provider: str, context: Mapping[str, Sequence[str]]) -> bool:
    if unknown := {"NotPrincipal", "NotAction"} & set(statement):
        raise _malformed(f"the AWS emulator does not evaluate {', '.join(sorted(unknown))}")
    principal = statement.get("Principal")
    federated = _list(principal.get("Federated")) if isinstance(principal, Mapping) else []
    if provider not in federated:
        return False
    if not any(_like(pattern.lower(), action.lower()) for pattern in _list(statement.get("Action"))):
        return False
    return all(
        _condition_holds(operator, context.get(key), [str(value) for value in _list(values)])
        for operator, keys in (statement.get("Condition") or {}).items()
        for key, values in keys.items()
    )


def _condition_holds(operator: str, present: Sequence[str] | None, wanted: Sequence[str]) -> bool:
    """Whether one condition holds. For an absent key, ForAllValues and negated operators hold, others do not."""
    quantifier, _, name = operator.rpartition(":")
    base = name.removesuffix("IfExists")
    if base == "Null" and not quantifier:
        return (present is None) == (wanted[0].lower() == "true")
    test = _TESTS.get(base.removeprefix("StringNot") if base.startswith("StringNot") else base.removeprefix("String"))
    if test is None or quantifier not in ("", "ForAnyValue", "ForAllValues") or not base.startswith("String"):
        raise _malformed(f"the AWS emulator does not evaluate the condition operator {operator}")
    negated = base.startswith("StringNot")
    if present is None:
        return name.endswith("IfExists") or quantifier == "ForAllValues" or (negated and not quantifier)
    results = [any(test(pattern, value) for pattern in wanted) != negated for value in present]
    return any(results) if quantifier == "ForAnyValue" or (not quantifier and not negated) else all(results)


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in text), re.DOTALL)


def _like(pattern: str, value: str) -> bool:
    return _pattern(pattern).fullmatch(value) is not None


_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "Equals": lambda wanted, value: wanted == value,
    "EqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "Like": _like,
}


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)
