"""Names the settings that differ between two versions of model-config/training, by dotted name with both values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ABSENT = "–"
_MAX_VALUE_CHARACTERS = 40


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting that changed, in words: `words` names it with both values, `threshold.value 0.0025 → 0.0095`."""

    name: str
    words: str


def changes(former: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Change]:
    """The settings that differ, in the order of the files.

    Args:
        former, new: the documents of the same files in the same order; empty for a file that is missing.
    """
    found = []
    for one, other in zip(former, new, strict=True):
        before, after = flat(one), flat(other)
        for name in dict.fromkeys([*before, *after]):
            if before.get(name, _ABSENT) != after.get(name, _ABSENT):
                found.append(Change(name=name, words=_words(name, before, after)))
    return found


def _words(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    old, new = before.get(name, _ABSENT), after.get(name, _ABSENT)
    if isinstance(old, list) and isinstance(new, list):
        counts = [
            f"{count:,} {what}"
            for count, what in ((len(_without(new, old)), "added"), (len(_without(old, new)), "removed"))
            if count
        ]
        return f"{name}: {', '.join(counts) or 'another order'}"
    return f"{name} {_value(old)} → {_value(new)}"


def _without(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [value for value in values if value not in others]


def _value(value: Any) -> str:
    shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return shown if len(shown) <= _MAX_VALUE_CHARACTERS else shown[: _MAX_VALUE_CHARACTERS - 1] + "…"


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of a nested document by dotted name; a list is one value."""
    values: dict[str, Any] = {}
    for key, value in document.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            values |= flat(value, f"{name}.")
        else:
            values[name] = value
    return values
