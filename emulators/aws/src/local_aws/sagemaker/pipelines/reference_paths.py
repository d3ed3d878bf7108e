"""Parses the paths of `Get` references and JsonGet, such as `a.b['key'][0]`, with an optional leading `$`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Part = str | int

_PART = re.compile(
    r"""\.?(?P<name>[A-Za-z0-9_\-]+)        # .name
      | \[(?P<index>\d+)\]                  # [0]
      | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]   # ['any key'] or ["any key"]
    """,
    re.VERBOSE,
)
# Elements of a list of structures are addressed by their name, as in ProcessingOutputConfig.Outputs['train'].
_LIST_KEYS = ("OutputName", "InputName", "ChannelName", "MetricName", "Name", "Key")


class PathError(ValueError):
    """A path is malformed, or does not exist in the value."""


def parse(text: str) -> tuple[Part, ...]:
    """The parts of a path: strings for members and keys, integers for positions.

    Raises:
        PathError: the path is empty or not of this grammar.
    """
    position, parts = len("$") if text.startswith("$") else 0, list[Part]()
    while position < len(text):
        match = _PART.match(text, position)
        if not match or (match["name"] and parts and text[position] != "."):
            raise PathError(f"malformed path {text!r} at {text[position:]!r}")
        if match["name"]:
            parts.append(match["name"])
        elif match["index"] is not None:
            parts.append(int(match["index"]))
        else:
            parts.append(match["key"])
        position = match.end()
    if not parts:
        raise PathError(f"empty path {text!r}")
    return tuple(parts)


def render(parts: Sequence[Part]) -> str:
    """The path of `parts`, the inverse of `parse`; a key must not contain both kinds of quotes."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_\-]+", part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]' if "'" in part else f"['{part}']"
    return text


def resolve(value: Any, parts: Sequence[Part]) -> Any:
    """The value at the path `parts` in `value`.

    A string applied to a list of structures selects the element with that name.

    Raises:
        PathError: a part does not exist; the message has the path up to it.
    """
    current = value
    for depth, part in enumerate(parts):
        try:
            current = _child(current, part)
        except (KeyError, IndexError, StopIteration):
            raise PathError(f"'{render(parts[: depth + 1])}' does not exist") from None
    return current


def _child(value: Any, part: Part) -> Any:
    if isinstance(value, Mapping):
        return value[str(part)]
    if isinstance(value, list):
        if isinstance(part, int):
            return value[part]
        return next(
            item for item in value if isinstance(item, Mapping) and any(item.get(key) == part for key in _LIST_KEYS)
        )
    raise KeyError(part)
