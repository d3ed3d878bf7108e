"""Plots of a drift check as PNG: shifts, distributions, label statistics.

Drawn from counts that others made, never from rows; the same counts give the same bytes. Colour says fired or not, and
never alone: what fired is named in words too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.model.drift.detector import DriftVerdict, FeatureDrift, Reference, Rules, WindowSummary
from ml.model.drift.histogram import Column, Tally
from ml.model.metrics import Confusion, rate
from ml.report.png import png

_INK, _MUTED, _GRID = "#1f2328", "#59636e", "#d1d9e0"
_THEN, _NOW, _QUIET = "#59636e", "#0969da", "#b6bfc9"
_FIRED = "#cf222e"
_DPI, _WIDE = 120, 7.2
_MOST = 31


def draw(
    reference: Reference, found: DriftVerdict, summary: WindowSummary, history: Sequence[DriftVerdict], rules: Rules
) -> dict[str, bytes]:
    """The pictures by file name; only those for which there is something to show.

    Args:
        reference, summary: what the model was approved on, and the window, as counts on the same edges.
        history: this window and those before it, in the order of time.
    """
    pictures: dict[str, bytes] = {}
    if found.features:
        pictures["features.png"] = features(found, rules)
        pictures["distributions.png"] = distributions(reference, found, summary)
    if found.scores is not None:
        pictures["scores.png"] = scores(reference, summary)
    if "concept" in found.judged and found.labels:
        pictures["outcomes.png"] = outcomes(reference, found)
    if sum(bool(each.features) for each in history) > 1:
        pictures["history.png"] = past(history)
    return pictures


def features(found: DriftVerdict, rules: Rules) -> bytes:
    """The Jensen-Shannon distance of every input, the furthest first."""
    ordered = sorted(found.features, key=lambda feature: feature.js)[-_MOST:]
    with _drawing(1, 1, (_WIDE, 1.3 + 0.2 * len(ordered)), "How far each input has moved") as (figure, grid):
        axes = grid[0]
        places = np.arange(len(ordered))
        axes.barh(places, [item.js for item in ordered], color=[_colour(item) for item in ordered], height=0.7)
        axes.set_yticks(places, [f"{item.name}{'  fired' if item.fired else ''}" for item in ordered])
        axes.axvline(rules.data.min_js, color=_INK, lw=1, ls=(0, (4, 3)))
        axes.set_xlabel(f"Jensen-Shannon distance; dashed: the least that counts, {rules.data.min_js:g}")
        axes.set_xlim(0, max(1.15 * rules.data.min_js, 1.05 * max((item.js for item in ordered), default=0.0)))
        axes.margins(y=0.01)
        axes.grid(axis="x", color=_GRID, lw=0.6)
        return png(figure)


def distributions(reference: Reference, found: DriftVerdict, summary: WindowSummary) -> bytes:
    """The inputs that moved most, then and now."""
    columns = {column.name: column for column in reference.columns}
    top = found.top_features
    inches = (_WIDE, 0.6 + 1.25 * len(top))
    with _drawing(len(top), 1, inches, "The inputs that moved most", room=(0.02, 0.25)) as (figure, grid):
        for axes, feature in zip(grid, top, strict=True):
            column = columns[feature.name]
            _densities(axes, column, summary.columns[feature.name], legend=axes is grid[0])
            fired = ", fired" if feature.fired else ""
            axes.set_title(
                f"{feature.name}: mean {feature.mean_shift:+.2f} standard deviations, KS {feature.ks:.3f}{fired}",
                fontsize=8.5,
                loc="left",
                color=_INK,
            )
        return png(figure)


def scores(reference: Reference, summary: WindowSummary) -> bytes:
    """The share of rows in each of the bins that held equally many of the scores of the test rows."""
    column = reference.scores
    then, now = _shares(column.summary.counts), _shares(summary.scores.bins)
    with _drawing(1, 1, (_WIDE, 2.6), "Scores, from low to high", room=(0.07, 0.45)) as (figure, grid):
        axes = grid[0]
        places = np.arange(len(then))
        axes.bar(places, 100 * now, width=0.9, color=_NOW, alpha=0.75, label="this window")
        axes.step(places, 100 * then, where="mid", color=_THEN, lw=1.6, label="when the model was tested")
        axes.set_xlabel("bins of equal size on the test rows")
        axes.set_ylabel("% of rows")
        axes.set_ylim(0, 1.3 * 100 * max(float(then.max()), float(now.max()), 1e-9))
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper left")
        axes.grid(axis="y", color=_GRID, lw=0.6)
        return png(figure)


def outcomes(reference: Reference, found: DriftVerdict) -> bytes:
    """What mature labels say: rates with intervals, and the fraud rate of each amount band, then and now."""
    assert found.labels is not None  # noqa: S101 - drawn only where there are labels
    then = Confusion(**reference.document["confusion"])
    now = Confusion(**found.labels["confusion"])
    with _drawing(1, 2, (_WIDE, 2.9), "What mature labels say", room=(0.05, 0.65)) as (figure, grid):
        _rates(grid[0], then, now)
        bands = reference.document["fraud_by_amount"]
        _bands(grid[1], bands["edges"], (bands["frauds"], bands["rows"]), found)
        return png(figure)


def past(history: Sequence[DriftVerdict]) -> bytes:
    """Jensen-Shannon distances of every input, window by window."""
    shown = [each for each in history if each.features][-12:]
    last = sorted(shown[-1].features, key=lambda feature: -feature.js)[:_MOST]
    names = [feature.name for feature in last]
    table = np.array([[_js(each, name) for each in shown] for name in names])
    with _drawing(1, 1, (_WIDE, 1.2 + 0.2 * len(names)), "Window by window") as (figure, grid):
        axes = grid[0]
        most = max(0.2, float(np.nanmax(table)))
        drawn = axes.imshow(table, aspect="auto", cmap="YlOrRd", vmin=0, vmax=most)
        for row, name in enumerate(names):
            for place, each in enumerate(shown):
                if any(feature.name == name and feature.fired for feature in each.features):
                    colour = "white" if table[row, place] > most / 2 else _INK
                    axes.text(place, row, "×", ha="center", va="center", fontsize=11, color=colour)
        axes.set_yticks(np.arange(len(names)), names)
        axes.set_xticks(np.arange(len(shown)), [f"{each.start:%Y-%m-%d}" for each in shown], rotation=30, ha="right")
        bar = figure.colorbar(drawn, ax=axes)
        bar.ax.tick_params(labelsize=7)
        axes.set_title("Jensen-Shannon distance; × fired", fontsize=8, loc="left", color=_MUTED)
        return png(figure)


def _js(found: DriftVerdict, name: str) -> float:
    return next((feature.js for feature in found.features if feature.name == name), float("nan"))


def _colour(feature: FeatureDrift) -> str:
    return _FIRED if feature.fired else _QUIET


def _densities(axes: Axes, column: Column, tally: Tally, *, legend: bool) -> None:
    """Both densities over the bins that have two edges; what lies in the outer two is said in words."""
    edges = np.asarray(column.summary.edges, dtype=np.float64)
    then, now = _shares(column.summary.counts), _shares(tally.bins)
    widths = np.diff(edges)
    if len(edges) < 2 or not (widths > 0).all():
        axes.bar(np.arange(len(then)) - 0.2, then, width=0.4, color=_THEN)
        axes.bar(np.arange(len(now)) + 0.2, now, width=0.4, color=_NOW)
    else:
        axes.stairs(now[1:-1] / widths, edges, color=_NOW, fill=True, alpha=0.35, label="this window")
        axes.stairs(now[1:-1] / widths, edges, color=_NOW, lw=1.2)
        axes.stairs(then[1:-1] / widths, edges, color=_THEN, lw=1.4, label="when the model was approved")
        words = f"below {100 * then[0]:.1f} → {100 * now[0]:.1f} %, above {100 * then[-1]:.1f} → {100 * now[-1]:.1f} %"
        axes.text(0.995, 0.93, words, transform=axes.transAxes, ha="right", va="top", fontsize=7, color=_MUTED)
        if legend:
            axes.legend(fontsize=7.5, frameon=False, loc="upper left")
    axes.set_yticks([])


def _rates(axes: Axes, then: Confusion, now: Confusion) -> None:
    figures = {
        "recall": ((then.true_positives, then.positives), (now.true_positives, now.positives)),
        "precision": ((then.true_positives, then.alerts), (now.true_positives, now.alerts)),
        "false-positive\nrate": ((then.false_positives, then.negatives), (now.false_positives, now.negatives)),
    }
    for place, pair in enumerate(figures.values()):
        for (count, of), colour, aside in zip(pair, (_THEN, _NOW), (-0.12, 0.12), strict=True):
            if not of:
                continue
            found = rate(count, of, "")
            value = count / of
            # An interval that does not hold its figure by a rounding error has no arm on that side.
            arms = [[max(0.0, value - (found.low or 0.0))], [max(0.0, (found.high or 1.0) - value)]]
            axes.errorbar([place + aside], [value], yerr=arms, fmt="o", color=colour, ms=5, lw=1.4, capsize=2.5)
    axes.set_xticks(np.arange(len(figures)), list(figures))
    axes.set(ylim=(0, 1.05), xlim=(-0.5, len(figures) - 0.5))
    axes.set_title("grey: approved, blue: this window; 95 %", fontsize=8, loc="left", color=_MUTED)
    axes.grid(axis="y", color=_GRID, lw=0.6)


def _bands(axes: Axes, edges: Sequence[float], then: tuple[Sequence[int], Sequence[int]], found: DriftVerdict) -> None:
    assert found.labels is not None  # noqa: S101 - as `outcomes`
    before = 100 * _rate(*then)
    after = 100 * _rate(found.labels["band_frauds"], found.labels["band_rows"])
    places = np.arange(len(before))
    fired = {finding.subject for finding in found.fired("concept") if finding.statistic == "fraud_rate"}
    axes.bar(places - 0.2, before, width=0.38, color=_THEN)
    axes.bar(places + 0.2, after, width=0.38, color=_NOW)
    names = [f"< {edges[0]:g}", *(f"≥ {edge:g}" for edge in edges)] if edges else ["all"]
    axes.set_xticks(places, names, rotation=30, ha="right")
    axes.set_title(f"% frauds by amount{': fired' if fired else ''}", fontsize=8, loc="left", color=_MUTED)
    axes.grid(axis="y", color=_GRID, lw=0.6)


def _rate(counts: Sequence[int], rows: Sequence[int]) -> NDArray[np.float64]:
    return np.asarray(counts, dtype=np.float64) / np.maximum(np.asarray(rows, dtype=np.float64), 1.0)


def _shares(counts: Sequence[int]) -> NDArray[np.float64]:
    array = np.asarray(counts, dtype=np.float64)
    return array / max(1.0, float(array.sum()))


@contextmanager
def _drawing(
    rows: int,
    columns: int,
    inches: tuple[float, float],
    title: str,
    *,
    room: tuple[float, float] | None = None,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure and its axes. `room` is what labels need on the left (a share) and below (inches); found out if None."""
    # Everything matplotlib was told by files and by other code is left out while this is drawn.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": _INK, "axes.labelcolor": _INK})
        figure = Figure(figsize=inches, dpi=_DPI, facecolor="white", layout="constrained" if room is None else None)
        FigureCanvasAgg(figure)
        figure.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
        grid = [figure.add_subplot(rows, columns, place + 1) for place in range(rows * columns)]
        if room is not None:  # known beforehand, which spares drawing everything several times
            high = inches[1]
            figure.subplots_adjust(
                left=room[0], right=0.985, bottom=room[1] / high, top=1 - 0.55 / high, hspace=0.75, wspace=0.15
            )
        for axes in grid:
            axes.set_axisbelow(True)
            axes.tick_params(labelsize=7.5, colors=_INK, length=2)
            axes.xaxis.label.set_fontsize(8)
            axes.yaxis.label.set_fontsize(8)
            for side in axes.spines.values():
                side.set_visible(False)
        yield figure, grid
