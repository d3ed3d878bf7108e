"""Figures whose look depends on nothing but their content, and the colours that plots share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2328", "#59636e", "#d1d9e0"
DPI, WIDTH_INCHES = 120, 7.2


@contextmanager
def drawing(
    rows: int,
    columns: int,
    inches: tuple[float, float],
    title: str,
    *,
    room: tuple[float, float] | None = None,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its axes. `room`: margins for labels, left (a share) and below (inches); computed if None."""
    # Settings of matplotlib from files and from other code must not change the picture.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK})
        figure = Figure(figsize=inches, dpi=DPI, facecolor="white", layout="constrained" if room is None else None)
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        grid = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
        if room is not None:  # fixed margins: the constrained layout would draw everything several times
            high = inches[1]
            figure.subplots_adjust(
                left=room[0], right=0.985, bottom=room[1] / high, top=1 - 0.55 / high, hspace=0.75, wspace=0.15
            )
        for axes in grid:
            axes.set_axisbelow(True)
            axes.tick_params(labelsize=7.5, colors=INK, length=2)
            axes.xaxis.label.set_fontsize(8)
            axes.yaxis.label.set_fontsize(8)
            for side in axes.spines.values():
                side.set_visible(False)
        yield figure, grid
