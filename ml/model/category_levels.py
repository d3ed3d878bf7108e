"""Maps the text of a category to the place of its level: one rule for training, requests, captured rows and drift.

A category is an input that is text. Its levels are the values that training saw often enough; every other value, also
one that nobody has seen, is one further level. The place of a level only looks up a coefficient or a count: nothing
adds, compares or interpolates places.

Part of the archive's code/, so it imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

MAX_LENGTH = 128
"""Of a value in characters: longer text is a description, not a category."""
EXPECTED = f"text of at most {MAX_LENGTH} characters, a whole number, true, false or null"
_MAX_INTEGER = 10**MAX_LENGTH


def text_of(value: Any) -> str | None:
    """The text of a value of JSON or CSV; None if it cannot be a category.

    Spaces around text do not count. Null is the empty text, a value like any other. A whole number is its digits, and
    true and false are these words, so that a column of such a type means the same in Parquet, CSV and JSON.
    """
    if type(value) is str:
        text = value.strip(" ")
        return text if len(text) <= MAX_LENGTH else None
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) is int and abs(value) < _MAX_INTEGER else None


def shown(text: str) -> str:
    """A value or level for pages and messages."""
    return text or "(empty)"


class Levels:
    """The levels of one category, and the places of values among them; `other` is the place of every other value."""

    def __init__(self, levels: Sequence[str]) -> None:
        self.levels = tuple(levels)
        self.other = float(len(self.levels))
        self._places = {level: float(place) for place, level in enumerate(self.levels)}

    def place(self, text: str) -> float:
        """The place of the level that `text` belongs to."""
        return self._places.get(text, self.other)

    def places(self, texts: Iterable[str]) -> list[float]:
        """The place of each of `texts`."""
        places, other = self._places, self.other
        return [places.get(text, other) for text in texts]

    def level(self, place: float) -> str | None:
        """The level at `place`; None for the place `other`."""
        return self.levels[int(place)] if place < self.other else None
