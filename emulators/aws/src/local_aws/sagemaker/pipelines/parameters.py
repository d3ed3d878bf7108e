"""Parses the parameters of a pipeline, and assigns the values of StartPipelineExecution or the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_aws.errors import AwsError

Value = str | int | float | bool
_INTEGER, _FLOAT = re.compile(r"[+-]?\d+"), re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_TYPES: Mapping[str, type | tuple[type, ...]] = {"String": str, "Integer": int, "Float": (int, float), "Boolean": bool}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter; `default` is None if a start must give the value."""

    name: str
    type: str
    default: Value | None
    choices: tuple[Value, ...]

    def parse(self, text: str) -> Value:
        """Converts a given string to the parameter's type.

        Raises:
            AwsError: ValidationException if the string is not of that type or not one of the choices.
        """
        value: Value | None = text
        if self.type == "Integer":
            value = int(text) if _INTEGER.fullmatch(text.strip()) else None
        elif self.type == "Float":
            value = float(text) if _FLOAT.fullmatch(text.strip()) else None
        elif self.type == "Boolean":
            value = {"true": True, "false": False}.get(text.strip().lower())
        if value is None:
            raise AwsError(
                "ValidationException", f"Parameter [{self.name}] must be of type {self.type}. Given value: {text}"
            )
        if self.choices and value not in self.choices:
            raise AwsError(
                "ValidationException",
                f"Value [{text}] of parameter [{self.name}] is not one of the EnumValues {list(self.choices)}",
            )
        return value


def parse_declarations(raw: Sequence[Mapping[str, Any]]) -> dict[str, Parameter]:
    """The declared parameters, by name.

    Raises:
        ValueError: a declaration is malformed or duplicate, or its default has the wrong type or is not a choice.
    """
    parameters: dict[str, Parameter] = {}
    for item in raw:
        name, kind, default = item.get("Name"), str(item.get("Type")), item.get("DefaultValue")
        choices = item.get("EnumValues") or []
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9\-_]{1,256}", name):
            raise ValueError(f"Invalid parameter name {name!r}")
        if name in parameters:
            raise ValueError(f"Duplicate parameter names found: [{name}]")
        if kind not in _TYPES:
            raise ValueError(f"Unknown type {kind!r} of parameter [{name}], must be one of {list(_TYPES)}")
        for value in [*choices, *([] if default is None else [default])]:
            if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
                raise ValueError(f"DefaultValue and EnumValues of parameter [{name}] must be of type {kind}: {value!r}")
        if choices and default is not None and default not in choices:
            raise ValueError(f"DefaultValue of parameter [{name}] is not one of its EnumValues: {default!r}")
        parameters[name] = Parameter(name, kind, default, tuple(choices))
    return parameters


def assign(declared: Mapping[str, Parameter], given: Sequence[Mapping[str, str]]) -> dict[str, Value]:
    """The value of every parameter in one execution: the given one, or the default.

    Raises:
        AwsError: ValidationException for unknown, duplicate, missing or wrongly typed parameters.
    """
    values = {p.name: p.default for p in declared.values()}
    seen: set[str] = set()
    for item in given:
        name = item["Name"]
        if name not in declared:
            raise AwsError("ValidationException", f"Unknown parameter(s): [{name}]. The pipeline does not declare it.")
        if name in seen:
            raise AwsError("ValidationException", f"Duplicate parameter names found: [{name}]")
        seen.add(name)
        values[name] = declared[name].parse(item["Value"])
    if missing := [name for name, value in values.items() if value is None]:
        raise AwsError(
            "ValidationException", f"Missing value(s) for parameter(s) without a default: [{', '.join(missing)}]"
        )
    return {name: value for name, value in values.items() if value is not None}
