"""Checks values against the shapes of a service model: required members, lengths, ranges, patterns, enumerations.

The messages are those of AWS's services, collected from issues that quote them. Knows neither HTTP nor any service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_aws.validation import patterns

_SHOWN_CHARS = 2048
_NUMBERS = ("integer", "long", "float", "double", "short", "byte")
_KINDS = {
    str: "STRING_VALUE",
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    dict: "Start of structure or map",
    list: "Start of list",
}
_NAMES = {
    "string": "String",
    "boolean": "Boolean",
    "integer": "Integer",
    "long": "Long",
    "float": "Float",
    "double": "Double",
}


class WrongType(Exception):
    """A value has a JSON type that its member cannot have; the message is AWS's."""


class UnknownMember(Exception):
    """A structure has a member that the model does not know."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is checked beside the constraints.

    `is_opaque` says of a value that it is not known yet, such as a reference in a pipeline definition; `generated`
    are required members that the service fills in; `unknown` is whether members must be known.
    """

    is_opaque: Callable[[Any], bool] = lambda _: False
    generated: frozenset[str] = frozenset()
    unknown: bool = True


_DEFAULT = Options()


def message(failures: list[str]) -> str:
    """The message of a validation error with those failures."""
    plural = "" if len(failures) == 1 else "s"
    return f"{len(failures)} validation error{plural} detected: {'; '.join(failures)}"


def find_failures(shape: Any, value: Any, path: str = "", options: Options = _DEFAULT) -> list[str]:
    """What AWS would object to in `value`, each with the place of the value; an empty list if nothing.

    Args:
        shape: botocore's shape of the value.
        path: the place of the value, such as `productionVariants.1.member`.

    Raises:
        WrongType: a value has a type that its shape cannot have.
        UnknownMember: a structure has a member that its shape lacks.
    """
    return list(_walk(shape, value, path, options))


def _walk(shape: Any, value: Any, path: str, options: Options) -> Iterator[str]:
    if value is None or options.is_opaque(value):
        return
    kind = shape.type_name
    if kind == "structure":
        yield from _structure(shape, value, path, options)
    elif kind == "list":
        yield from _list(shape, value, path, options)
    elif kind == "map":
        yield from _map(shape, value, path, options)
    else:
        _check_type(shape, value)
        for constraint in _violated(shape, value):
            yield _failure(shape, value, path, constraint)


def _structure(shape: Any, value: Any, path: str, options: Options) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    if not isinstance(value, Mapping):
        raise WrongType(_cannot_convert(value, "structure"))
    if options.unknown and (unknown := [str(name) for name in value if name not in shape.members]):
        where = f" of {path}" if path else ""
        known = ", ".join(shape.members)
        raise UnknownMember(f'Unknown parameter in input{where}: "{min(unknown)}", must be one of: {known}')
    for name in shape.required_members:
        if value.get(name) is None and name not in options.generated:
            yield f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
    for name, item in value.items():
        if name in shape.members:
            yield from _walk(shape.members[name], item, _join(path, name), options)


def _list(shape: Any, value: Any, path: str, options: Options) -> Iterator[str]:
    if not isinstance(value, list | tuple):
        raise WrongType(_cannot_convert(value, "list"))
    for constraint in _length(shape, len(value)):
        yield _failure(shape, value, path, constraint)
    if shape.member.type_name in ("structure", "list", "map"):
        for number, item in enumerate(value, 1):
            yield from _walk(shape.member, item, f"{path}.{number}.member", options)
        return
    known = [item for item in value if item is not None and not options.is_opaque(item)]
    for item in known:
        _check_type(shape.member, item)
    if any(_violated(shape.member, item) for item in known):
        yield _failure(shape, value, path, f"Member must satisfy constraint: {_all_constraints(shape.member)}")


def _map(shape: Any, value: Any, path: str, options: Options) -> Iterator[str]:
    if not isinstance(value, Mapping):
        raise WrongType(_cannot_convert(value, "map"))
    for constraint in _length(shape, len(value)):
        yield _failure(shape, value, path, constraint)
    if any(_violated(shape.key, key) for key in value):
        yield _failure(shape, value, path, f"Map keys must satisfy constraint: {_all_constraints(shape.key)}")
    if shape.value.type_name in ("structure", "list", "map"):
        for key, item in value.items():
            yield from _walk(shape.value, item, f"{path}.{key}.member", options)
        return
    known = [item for item in value.values() if item is not None and not options.is_opaque(item)]
    for item in known:
        _check_type(shape.value, item)
    if any(_violated(shape.value, item) for item in known):
        yield _failure(shape, value, path, f"Map value must satisfy constraint: {_all_constraints(shape.value)}")


def _failure(shape: Any, value: Any, path: str, constraint: str) -> str:
    shown = "" if shape.metadata.get("sensitive") else f" '{_show(value)}'"
    return f"Value{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    member = name[:1].lower() + name[1:]
    return f"{path}.{member}" if path else member


def _show(value: Any) -> str:
    """`value` in the form of Java's toString, bounded."""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}={_show(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(_show(item) for item in value) + "]"
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _check_type(shape: Any, value: Any) -> None:
    kind = shape.type_name
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str) or shape.serialization.get("jsonvalue"),
        "boolean": isinstance(value, bool),
        **dict.fromkeys(_NUMBERS, number),
        **dict.fromkeys(("float", "double"), number or value in ("NaN", "Infinity", "-Infinity")),
    }.get(kind, True)
    whole = kind in ("float", "double") or not isinstance(value, float) or value.is_integer()
    if not fits or (kind in _NUMBERS and not whole):
        raise WrongType(_cannot_convert(value, kind))


def _cannot_convert(value: Any, kind: str) -> str:
    given = _KINDS.get(type(value), type(value).__name__)
    if kind in _NAMES and given.endswith("_VALUE"):
        return f"{given} can not be converted to a{'n' if kind == 'integer' else ''} {_NAMES[kind]}"
    if given.startswith("Start of"):
        return f"{given} found where not expected"
    return f"Unexpected field type: {given} where a {kind} is expected"


def _violated(shape: Any, value: Any) -> list[str]:
    """The constraints of a scalar's shape that `value` does not satisfy."""
    kind = shape.type_name
    if kind == "string" and isinstance(value, str):
        found = _length(shape, len(value))
        pattern = shape.metadata.get("pattern")
        if pattern and not patterns.matches(pattern, value):
            found.append(_pattern(pattern))
        if shape.enum and value not in shape.enum:
            found.append(_enumeration(shape.enum))
        return found
    if kind == "blob" and isinstance(value, bytes):
        return _length(shape, len(value))
    if kind in _NUMBERS and not isinstance(value, str):
        return _range(shape, value)
    return []


def _length(shape: Any, length: int) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    found = []
    if high is not None and length > high:
        found.append(f"Member must have length less than or equal to {high}")
    if low is not None and length < low:
        found.append(f"Member must have length greater than or equal to {low}")
    return found


def _range(shape: Any, value: float) -> list[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    found = []
    if high is not None and value > high:
        found.append(f"Member must have value less than or equal to {high}")
    if low is not None and value < low:
        found.append(f"Member must have value greater than or equal to {low}")
    return found


def _pattern(pattern: str) -> str:
    return f"Member must satisfy regular expression pattern: {pattern}"


def _enumeration(values: list[str]) -> str:
    return f"Member must satisfy enum value set: [{', '.join(values)}]"


def _all_constraints(shape: Any) -> str:
    """Every constraint of a list's or map's members: AWS does not say which of them is violated."""
    low, high, pattern = (shape.metadata.get(name) for name in ("min", "max", "pattern"))
    measure = "value" if shape.type_name in _NUMBERS else "length"
    found = []
    if high is not None:
        found.append(f"Member must have {measure} less than or equal to {high}")
    if low is not None:
        found.append(f"Member must have {measure} greater than or equal to {low}")
    if pattern:
        found.append(_pattern(pattern))
    if getattr(shape, "enum", None):
        found.append(_enumeration(shape.enum))
    return f"[{', '.join(found)}]"
