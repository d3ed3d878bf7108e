"""Names what differs between two model archives: members, and in JSON members the numbers. Reads no file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ml.model import artifact

NAMED_VALUES = 10
"""Of the values that differ in one member so many are named."""


def differences(approved: bytes, again: bytes) -> list[str]:
    """Each member that is missing or differs, with the values of JSON members that do; [] for equal members.

    Archives of equal members can have other bytes: another zlib compressed them.

    Raises:
        ArtifactInvalid: one of them is not a complete archive.
    """
    one, other = artifact.extract(approved), artifact.extract(again)
    found = [f"{name} is only in the approved archive" for name in sorted(one.keys() - other.keys())]
    found += [f"{name} is only in the new archive" for name in sorted(other.keys() - one.keys())]
    for name in sorted(one.keys() & other.keys()):
        if one[name] != other[name] and name != artifact.SUMS:
            found += _member(name, one[name], other[name])
    return found


def _member(name: str, approved: bytes, again: bytes) -> list[str]:
    if not name.endswith(".json"):
        return [f"{name} has {len(approved)} bytes in the approved archive and {len(again)} others in the new one"]
    values = list(_values(json.loads(approved), json.loads(again), name))
    named = values[:NAMED_VALUES]
    if len(values) > len(named):
        named.append(f"{name}: {len(values) - len(named)} more values differ")
    return named or [f"{name} has the same values and other bytes"]


def _values(approved: Any, again: Any, place: str) -> Iterator[str]:
    if isinstance(approved, Mapping) and isinstance(again, Mapping):
        for key in [*approved, *(key for key in again if key not in approved)]:
            yield from _values(approved.get(key), again.get(key), f"{place} {key}")
    elif isinstance(approved, list) and isinstance(again, list) and len(approved) == len(again):
        for position, (left, right) in enumerate(zip(approved, again, strict=True)):
            yield from _values(left, right, f"{place}[{position}]")
    elif approved != again:
        yield f"{place} is {_shown(approved)} in the approved archive and {_shown(again)} in the new one"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
