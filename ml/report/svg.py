"""Drawings as SVG inside a page: the browser scales them, colours them for light and dark, and reads their text.

Colours are classes of the page's style sheet, never values. Text is escaped by the tree that it is put into.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

GAP = 8
_NAME_WIDTH = 22  # units that two digits below a column need


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The rectangle that data are drawn into, in the drawing's units, and what its axes run from and to."""

    left: float
    top: float
    width: float
    height: float
    low: float
    high: float
    columns: int

    def x(self, column: float) -> float:
        """The middle of a column counted from 0."""
        return round(self.left + (column + 0.5) * self.width / self.columns, 1)

    def y(self, value: float) -> float:
        """The height at which `value` lies."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.top + self.height * (1 - min(1.0, max(0.0, share))), 1)

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height


class Drawing:
    """A picture of `width` by `height` units, which says in words what it shows."""

    def __init__(self, width: int, height: int, *, name: str, title: str, description: str) -> None:
        self.root = ET.Element(
            "svg",
            {
                "viewBox": f"0 0 {width} {height}",
                "class": f"chart {name}",
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-description",
            },
        )
        self.add("title", title, id=f"{name}-title")
        self.add("desc", description, id=f"{name}-description")

    def add(
        self, tag: str, text: str | None = None, parent: ET.Element | None = None, **attributes: object
    ) -> ET.Element:
        """An element; `class_` is the attribute class, other underscores are hyphens."""
        names = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items()}
        element = ET.SubElement(self.root if parent is None else parent, tag, names)
        element.text = text
        return element

    def text(self, x: float, y: float, text: str, class_: str = "", anchor: str = "start") -> ET.Element:
        """A line of text whose baseline is at `y`."""
        return self.add("text", text, x=round(x, 1), y=round(y, 1), class_=class_, text_anchor=anchor)

    def line(self, points: Iterable[tuple[float, float]], class_: str) -> ET.Element:
        """A line through `points`."""
        return self.add("polyline", points=" ".join(f"{x},{y}" for x, y in points), class_=class_, fill="none")

    def area(
        self, upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], class_: str
    ) -> ET.Element:
        """The area between two lines over the same columns."""
        points = [*upper, *reversed(lower)]
        return self.add("polygon", points=" ".join(f"{x},{y}" for x, y in points), class_=class_)

    def grid(self, frame: Frame, ticks: Sequence[tuple[float, str]], columns: Sequence[str]) -> None:
        """Horizontal lines at `ticks` with their words, and below the names of as many columns as have room."""
        step = max(1, math.ceil(len(columns) * _NAME_WIDTH / frame.width))
        for value, words in ticks:
            y = frame.y(value)
            self.add("line", x1=frame.left, x2=frame.right, y1=y, y2=y, class_="grid")
            self.text(frame.left - GAP, y + 4, words, "tick", "end")
        for place in range(0, len(columns), step):
            self.text(frame.x(place), frame.bottom + 18, columns[place], "tick", "middle")

    def __str__(self) -> str:
        return ET.tostring(self.root, encoding="unicode", method="html")


def is_safe(address: str | None) -> bool:
    """Whether a page may link to `address`: http(s) or relative, never something that a browser would run."""
    if not address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") or (not parts.scheme and not parts.netloc)
