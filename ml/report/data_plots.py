"""Draws the plots of a data set's page: distributions by class, correlations, hours, fraud rate by amount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ml.report.data_statistics import Bin, Column
from ml.report.plot_style import GRID, INK, WIDTH_INCHES, drawing
from ml.report.png import png

Array = NDArray[np.float64]
_LEGITIMATE, _FRAUD = "#59636e", "#cf222e"
_SHOWN, _PER_ROW, _BARS = 9, 3, 40
_LABELLED_COLUMNS = 40


def distributions(columns: Sequence[Column], values: Mapping[str, Array], frauds: NDArray[np.bool_]) -> bytes:
    """The densities of both classes in the columns that separate them best, within their 0.5 to 99.5 % quantiles."""
    best = sorted(columns, key=lambda column: -column.separability.strength)[:_SHOWN]
    rows = -(-len(best) // _PER_ROW)
    inches = (WIDTH_INCHES, 0.9 + 1.5 * rows)
    with drawing(rows, _PER_ROW, inches, "Columns that separate the classes best", room=(0.05, 0.35)) as (figure, grid):
        for axes, column in zip(grid, best, strict=False):
            found = values[column.name]
            finite = np.isfinite(found)
            low, high = np.quantile(found[finite], [0.005, 0.995])
            edges = np.linspace(low, high if high > low else low + 1.0, _BARS + 1)
            for fraud, colour, name in ((False, _LEGITIMATE, "legitimate"), (True, _FRAUD, "fraud")):
                counts, _ = np.histogram(found[finite & (frauds == fraud)], edges)
                axes.stairs(counts / max(1, counts.sum()), edges, color=colour, lw=1.4, label=name)
            axes.set_title(_title(column), fontsize=8, loc="left", color=INK)
            axes.set_yticks([])
        for axes in grid[len(best) :]:
            axes.set_visible(False)
        grid[0].legend(fontsize=7, frameon=False)
        return png(figure)


def _title(column: Column) -> str:
    found = column.separability
    return f"{column.name}: {found.strength:.3f}, frauds {found.direction}"


def correlations(names: Sequence[str], matrix: Array) -> bytes:
    """Pearson's correlations of the legitimate rows as colours from -1 to 1."""
    side = min(WIDTH_INCHES, 2.0 + 0.16 * len(names))
    with drawing(1, 1, (WIDTH_INCHES, side), "Correlations among legitimate rows") as (figure, grid):
        shown = grid[0].imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
        if len(names) <= _LABELLED_COLUMNS:
            grid[0].set_xticks(range(len(names)), names, rotation=90, fontsize=6)
            grid[0].set_yticks(range(len(names)), names, fontsize=6)
        bar = figure.colorbar(shown, ax=grid[0], shrink=0.8)
        bar.ax.tick_params(labelsize=7)
        return png(figure)


def rates(title: str, bins: Sequence[Bin]) -> bytes:
    """Rows, and the fraud rate with its 95 % interval, of each bin."""
    inches = (WIDTH_INCHES, 3.6)
    with drawing(2, 1, inches, title, room=(0.09, 0.95)) as (figure, grid):
        places = np.arange(len(bins))
        grid[0].bar(places, [found.rows for found in bins], color=_LEGITIMATE, width=0.8)
        grid[0].set_ylabel("rows")
        grid[0].set_xticks([])
        _intervals(grid[1], bins)
        grid[1].set_xticks(places, [found.name for found in bins], rotation=40, ha="right")
        for axes in grid:
            axes.grid(axis="y", color=GRID, lw=0.6)
        return png(figure)


def _intervals(axes: Axes, bins: Sequence[Bin]) -> None:
    for place, found in enumerate(bins):
        if found.frauds.value is None or found.frauds.low is None or found.frauds.high is None:
            continue
        axes.vlines(place, 100 * found.frauds.low, 100 * found.frauds.high, color=_FRAUD, lw=1.4)
        axes.plot(place, 100 * found.frauds.value, "o", color=_FRAUD, ms=3.5)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("% frauds")
