"""Draws docs/imports.svg: the folders of ml/ as layers, with the imports between them as the code has them.

An arrow that follows from others is left out. Boxes and arrows are computed by docs/structure.py, so the picture
changes when the imports change.
"""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from docs import structure

_WIDTH, _HEIGHT, _GAP, _ROW = 2.6, 0.6, 0.5, 1.5
_INK = "#24292f"
_COLOURS = {"entry": "#e3f1df", "subject": "#fdebd3", "service": "#dbe9f6", "pure": "#eee6f6"}
_KINDS = {
    "entry": {"ml/cli", "ml/commands", "ml/playground"},
    "subject": {"ml/training", "ml/release", "ml/drift", "ml/ingest", "ml/validation", "ml/records"},
    "pure": {"ml/model", "ml/steps"},
}
_LEGEND = {"entry": "entry points", "subject": "subjects", "service": "services and files", "pure": "pure code"}


def draw() -> bytes:
    """The picture as SVG."""
    edges = structure.folder_graph()
    rows = structure.layers()
    width = max(len(row) for row in rows) * (_WIDTH + _GAP) + _GAP
    height = len(rows) * _ROW + 0.6
    figure = plt.figure(figsize=(width * 0.62, height * 0.62))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    places = _places(rows, width)
    for source, targets in structure.reduced(edges).items():
        for target in sorted(targets):
            _arrow(axes, places[source], places[target])
    for folder, (x, y) in places.items():
        _box(axes, x, y, folder)
    for number, (kind, words) in enumerate(_LEGEND.items()):
        axes.text(
            0.3 + number * 2.9, height - 0.3, words, fontsize=8, va="center", color=_INK,
            bbox={"boxstyle": "round,pad=0.3", "facecolor": _COLOURS[kind], "edgecolor": _INK, "lw": 0.6},
        )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    return buffer.getvalue()


def _places(rows: list[list[str]], width: float) -> dict[str, tuple[float, float]]:
    """The lower left corner of each folder's box."""
    places = {}
    for level, row in enumerate(rows):
        left = (width - len(row) * (_WIDTH + _GAP) + _GAP) / 2
        for index, name in enumerate(row):
            places[name] = (left + index * (_WIDTH + _GAP), 0.3 + level * _ROW)
    return places


def _box(axes: Axes, x: float, y: float, folder: str) -> None:
    kind = next((name for name, folders in _KINDS.items() if folder in folders), "service")
    axes.add_patch(
        FancyBboxPatch(
            (x, y), _WIDTH, _HEIGHT, boxstyle="round,pad=0.04,rounding_size=0.12",
            facecolor=_COLOURS[kind], edgecolor=_INK, lw=1,
        )
    )  # fmt: skip
    axes.text(
        x + _WIDTH / 2, y + _HEIGHT / 2, folder, ha="center", va="center", fontsize=10, fontweight="bold", color=_INK
    )


def _arrow(axes: Axes, source: tuple[float, float], target: tuple[float, float]) -> None:
    if source[1] == target[1]:  # neighbours in one layer
        left = target[0] < source[0]
        start = (source[0] - 0.04 if left else source[0] + _WIDTH + 0.04, source[1] + _HEIGHT / 2)
        end = (target[0] + _WIDTH + 0.04 if left else target[0] - 0.04, target[1] + _HEIGHT / 2)
    else:
        start, end = (source[0] + _WIDTH / 2, source[1] - 0.04), (target[0] + _WIDTH / 2, target[1] + _HEIGHT + 0.04)
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=10, color="#57606a", lw=0.9, zorder=0))
