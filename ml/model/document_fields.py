"""Reads JSON strictly and checks the fields of model.json one by one.

Part of the archive's code/, so it imports the standard library only. Never repairs a value: one that is missing,
unknown, of another type or out of range raises ArtifactInvalid with the field, the expected and the actual value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

_T = TypeVar("_T")

MAX_MAGNITUDE = 1e150  # of any parameter: folded weights, and their products with inputs, stay below float64's maximum


class ArtifactInvalid(ValueError):
    """An invalid model document or archive; the message says what is wrong and where."""


def canonical(document: Any) -> str:
    """The JSON of `document` that is stored and hashed: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def load(text: str | bytes, name: str) -> Any:
    """Parses the JSON of the file `name`; a repeated key, NaN or invalid UTF-8 raises ArtifactInvalid."""

    def reject_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
        unique = dict(items)
        if len(unique) != len(items):
            keys = [key for key, _ in items]
            repeated = next(key for key in keys if keys.count(key) > 1)
            raise ArtifactInvalid(f"{name}: key {repeated!r} is given twice")
        return unique

    def reject_constant(word: str) -> NoReturn:
        raise ArtifactInvalid(f"{name}: must hold finite numbers only (got {word})")

    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, object_pairs_hook=reject_repeated_keys, parse_constant=reject_constant)
    except UnicodeDecodeError as error:
        raise ArtifactInvalid(f"{name}: must be UTF-8 (byte {error.start} is not)") from error
    except json.JSONDecodeError as error:
        raise ArtifactInvalid(
            f"{name}: not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep; an integer of more than 4,300 digits
        if isinstance(error, ArtifactInvalid):
            raise
        raise ArtifactInvalid(f"{name}: not readable JSON: {type(error).__name__}") from error


def check_keys(value: Any, at: str, names: tuple[str, ...]) -> None:
    """Requires an object with exactly the keys `names`."""
    if not isinstance(value, dict):
        reject(at, "must be an object", value)
    prefix = f"{at}." if at else ""
    for name in names:
        if name not in value:
            raise ArtifactInvalid(f"model.json: {prefix}{name} is missing")
    for name in value:
        if name not in names:
            raise ArtifactInvalid(f"model.json: {prefix}{name[:64]} is not a known key")


def entries(value: Any, at: str, item: Callable[[Any, str], _T]) -> tuple[_T, ...]:
    """The entries of a list, each read by `item`, which gets the entry and its place."""
    if not isinstance(value, list):
        reject(at, "must be a list", value)
    return tuple(item(entry, f"{at}[{index}]") for index, entry in enumerate(value))


def number(value: Any, at: str) -> float:
    """A finite number, at most MAX_MAGNITUDE."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        reject(at, "must be a number", value)
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    if not math.isfinite(converted) or abs(converted) > MAX_MAGNITUDE:
        reject(at, f"must be finite, at most {MAX_MAGNITUDE:g}", value)
    return converted


def ascending(value: Any, at: str, what: str) -> tuple[float, ...]:
    """A list of strictly ascending numbers; `what` is the singular of what they are."""
    numbers = entries(value, at, number)
    for index in range(1, len(numbers)):
        if not numbers[index - 1] < numbers[index]:
            reject(
                f"{at}[{index}]", f"must be greater than the {what} before it, {numbers[index - 1]!r}", numbers[index]
            )
    return numbers


def text(value: Any, at: str) -> str:
    """Text of 1 to 256 characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 256:
        reject(at, "must be text of 1 to 256 characters", value)
    return value


def one_of(value: Any, at: str, allowed: Sequence[str], expected: str = "") -> str:
    """One of the words `allowed`; `expected` describes them in the message."""
    if not isinstance(value, str) or value not in allowed:
        reject(at, f"must be {expected or _either(allowed)}", value)
    return value


def _either(words: Sequence[str]) -> str:
    """The words as text, e.g. `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def check_distinct(values: Sequence[Any], at: str, expected: str) -> None:
    """Requires that no value occurs twice."""
    seen = set()
    for value in values:
        if value in seen:
            reject(at, f"must hold {expected}; repeated", value)
        seen.add(value)


def reject(at: str, expected: str, value: Any) -> NoReturn:
    """Raises ArtifactInvalid: the field `at` is not as `expected`."""
    raise ArtifactInvalid(f"model.json: {at} {expected} (got {shorten(value)})")


def shorten(value: Any) -> str:
    """The repr of a value for a message, at most 80 characters."""
    try:
        shown = repr(value)
    except ValueError:  # an integer of more than 4,300 digits has no repr
        return "a very long number"
    return shown if len(shown) <= 80 else shown[:77] + "…"
