"""Validates the conditions of Condition steps in a definition, and evaluates them in an execution."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda left, right: left > right,
    "GreaterThanOrEqualTo": lambda left, right: left >= right,
    "LessThan": lambda left, right: left < right,
    "LessThanOrEqualTo": lambda left, right: left <= right,
}
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "Equals": ("LeftValue", "RightValue"),
    **dict.fromkeys(_COMPARISONS, ("LeftValue", "RightValue")),
    "In": ("QueryValue", "Values"),
    "Not": ("Condition",),
    "Or": ("Conditions",),
}


class ConditionError(ValueError):
    """A condition lacks an operand or compares values that have no order."""


def validate(condition: Any) -> None:
    """Validates the form of a condition.

    Raises:
        ValueError: an unknown type, an unknown or missing member, a null, or a member of the wrong type.
    """
    if not isinstance(condition, Mapping):
        raise ValueError("Expecting start of Json Object.")  # noqa: TRY004 - a malformed definition is always a ValueError
    kind = str(condition.get("Type"))
    if kind not in _MEMBERS:
        raise ValueError(f"Cannot parse object, unknown condition type '{kind}'.")
    for name in condition:
        if name not in ("Type", *_MEMBERS[kind]):
            raise ValueError(f"Cannot parse object, unknown property '{name}'.")
    for name in _MEMBERS[kind]:
        if name not in condition:
            raise ValueError(f"Cannot parse object, property '{name}' of condition '{kind}' is missing.")
        if condition[name] is None:
            raise ValueError(f"Cannot parse object, property '{name}' of condition '{kind}' is null.")
    if kind == "Not":
        validate(condition["Condition"])
    elif kind == "Or":
        if not isinstance(condition["Conditions"], list):
            raise ValueError("Expecting start of Json Array.")
        for inner in condition["Conditions"]:
            validate(inner)
    elif kind == "In" and not isinstance(condition["Values"], list):
        raise ValueError("Expecting start of Json Array.")


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether a condition with resolved references is true.

    Raises:
        ConditionError: an operand without a value, or an ordering of values that have none, such as a number and a
            string.
    """
    kind = condition["Type"]
    for name in _MEMBERS[kind]:
        if name not in condition:  # the resolution of references leaves out members that are null
            raise ConditionError(f"{kind} has no {name}: its value is null")
    if kind == "Not":
        return not holds(condition["Condition"])
    if kind == "Or":
        return any(holds(inner) for inner in condition["Conditions"])
    if kind == "In":
        return any(_equal(condition["QueryValue"], value) for value in condition["Values"])
    left, right = condition["LeftValue"], condition["RightValue"]
    if kind == "Equals":
        return _equal(left, right)
    comparable = (_is_number(left) and _is_number(right)) or (isinstance(left, str) and isinstance(right, str))
    if not comparable:
        raise ConditionError(f"{kind} cannot compare {json.dumps(left)} with {json.dumps(right)}")
    return _COMPARISONS[kind](left, right)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(left: Any, right: Any) -> bool:
    # True == 1 in Python, not in JSON.
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)
