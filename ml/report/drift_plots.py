"""Draws the plots of a drift check as PNG: shifts, distributions, label statistics.

Drawn from counts, never from rows; the same counts give the same bytes. Colour is never the only sign: text marks what
fired as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ml.model import category_levels
from ml.model.drift.detector import DriftVerdict, FeatureDrift, Reference, Rules, WindowSummary
from ml.model.drift.histogram import Column, Tally
from ml.model.metrics import Confusion, rate
from ml.report.plot_style import GRID, INK, MUTED, WIDTH_INCHES, drawing
from ml.report.png import png

_REFERENCE, _WINDOW, _QUIET = "#59636e", "#0969da", "#b6bfc9"
_FIRED = "#cf222e"
_MAX_FEATURES = 31
_MAX_WINDOWS = 12
_MAX_LEVELS, _MAX_LEVEL_LETTERS = 8, 12


def draw(
    reference: Reference, verdict: DriftVerdict, summary: WindowSummary, history: Sequence[DriftVerdict], rules: Rules
) -> dict[str, bytes]:
    """The pictures by file name; those without data are left out.

    Args:
        reference, summary: the drift reference and the window, as counts on the same edges.
        history: the verdicts of this window and those before it, in the order of time.
    """
    pictures: dict[str, bytes] = {}
    if verdict.features:
        pictures["features.png"] = features(verdict, rules)
        pictures["distributions.png"] = distributions(reference, verdict, summary)
    if verdict.scores is not None:
        pictures["scores.png"] = scores(reference, summary)
    if "concept" in verdict.evaluated and verdict.labels:
        pictures["outcomes.png"] = outcomes(reference, verdict)
    if sum(bool(verdict.features) for verdict in history) > 1:
        pictures["history.png"] = window_history(history)
    return pictures


def features(verdict: DriftVerdict, rules: Rules) -> bytes:
    """The Jensen-Shannon distance of every input, the largest first."""
    ordered = sorted(verdict.features, key=lambda feature: feature.js)[-_MAX_FEATURES:]
    with drawing(1, 1, (WIDTH_INCHES, 1.3 + 0.2 * len(ordered)), "Shift of each input") as (figure, grid):
        axes = grid[0]
        places = np.arange(len(ordered))
        axes.barh(places, [item.js for item in ordered], color=[_colour(item) for item in ordered], height=0.7)
        axes.set_yticks(places, [f"{item.name}{'  fired' if item.fired else ''}" for item in ordered])
        axes.axvline(rules.data.min_js, color=INK, lw=1, ls=(0, (4, 3)))
        axes.set_xlabel(f"Jensen-Shannon distance; dashed: the minimum effect size, {rules.data.min_js:g}")
        axes.set_xlim(0, max(1.15 * rules.data.min_js, 1.05 * max((item.js for item in ordered), default=0.0)))
        axes.margins(y=0.01)
        axes.grid(axis="x", color=GRID, lw=0.6)
        return png(figure)


def distributions(reference: Reference, verdict: DriftVerdict, summary: WindowSummary) -> bytes:
    """The distributions of the inputs with the largest shift, in the drift reference and in the window."""
    columns = {column.name: column for column in reference.columns}
    top = verdict.top_features
    inches = (WIDTH_INCHES, 0.6 + 1.25 * len(top))
    with drawing(len(top), 1, inches, "Inputs with the largest shift", room=(0.02, 0.25)) as (figure, grid):
        for axes, feature in zip(grid, top, strict=True):
            column = columns[feature.name]
            _densities(axes, column, summary.columns[feature.name], legend=axes is grid[0])
            fired = ", fired" if feature.fired else ""
            figures = f"mean {feature.mean_shift:+.2f} standard deviations, KS {feature.ks:.3f}"
            if feature.unseen is not None:
                figures = f"w {feature.chi_square:.3f}, unseen values in {100 * feature.unseen:.2g} % of rows"
            axes.set_title(
                f"{feature.name}: {figures}{fired}",
                fontsize=8.5,
                loc="left",
                color=INK,
            )
        return png(figure)


def scores(reference: Reference, summary: WindowSummary) -> bytes:
    """The share of rows in each score bin; the bins have equal frequency on the test rows."""
    column = reference.scores
    then, now = _shares(column.summary.counts), _shares(summary.scores.bins)
    with drawing(1, 1, (WIDTH_INCHES, 2.6), "Scores, from low to high", room=(0.07, 0.45)) as (figure, grid):
        axes = grid[0]
        places = np.arange(len(then))
        axes.bar(places, 100 * now, width=0.9, color=_WINDOW, alpha=0.75, label="this window")
        axes.step(places, 100 * then, where="mid", color=_REFERENCE, lw=1.6, label="when the model was tested")
        axes.set_xlabel("bins of equal size on the test rows")
        axes.set_ylabel("% of rows")
        axes.set_ylim(0, 1.3 * 100 * max(float(then.max()), float(now.max()), 1e-9))
        axes.legend(fontsize=8, frameon=False, ncols=2, loc="upper left")
        axes.grid(axis="y", color=GRID, lw=0.6)
        return png(figure)


def outcomes(reference: Reference, verdict: DriftVerdict) -> bytes:
    """Rates with intervals and the fraud rate of each amount band, on mature labels and in the drift reference."""
    assert verdict.labels is not None  # noqa: S101 - drawn only if there are labels
    then = Confusion(**reference.document["confusion"])
    now = Confusion(**verdict.labels["confusion"])
    with drawing(1, 2, (WIDTH_INCHES, 2.9), "Rates on mature labels", room=(0.05, 0.65)) as (figure, grid):
        _rates(grid[0], then, now)
        bands = reference.document["fraud_by_amount"]
        _bands(grid[1], bands["edges"], (bands["frauds"], bands["rows"]), verdict)
        return png(figure)


def window_history(history: Sequence[DriftVerdict]) -> bytes:
    """Jensen-Shannon distances of every input, by window."""
    windows = [verdict for verdict in history if verdict.features][-_MAX_WINDOWS:]
    last = sorted(windows[-1].features, key=lambda feature: -feature.js)[:_MAX_FEATURES]
    names = [feature.name for feature in last]
    table = np.array([[_js(window, name) for window in windows] for name in names])
    with drawing(1, 1, (WIDTH_INCHES, 1.2 + 0.2 * len(names)), "Window by window") as (figure, grid):
        axes = grid[0]
        highest = max(0.2, float(np.nanmax(table)))
        image = axes.imshow(table, aspect="auto", cmap="YlOrRd", vmin=0, vmax=highest)
        for row, name in enumerate(names):
            for place, window in enumerate(windows):
                if any(feature.name == name and feature.fired for feature in window.features):
                    colour = "white" if table[row, place] > highest / 2 else INK
                    axes.text(place, row, "×", ha="center", va="center", fontsize=11, color=colour)
        axes.set_yticks(np.arange(len(names)), names)
        starts = [f"{window.start:%Y-%m-%d}" for window in windows]
        axes.set_xticks(np.arange(len(windows)), starts, rotation=30, ha="right")
        bar = figure.colorbar(image, ax=axes)
        bar.ax.tick_params(labelsize=7)
        axes.set_title("Jensen-Shannon distance; × fired", fontsize=8, loc="left", color=MUTED)
        return png(figure)


def _js(verdict: DriftVerdict, name: str) -> float:
    return next((feature.js for feature in verdict.features if feature.name == name), float("nan"))


def _colour(feature: FeatureDrift) -> str:
    return _FIRED if feature.fired else _QUIET


def _densities(axes: Axes, column: Column, tally: Tally, *, legend: bool) -> None:
    """Both densities over the bins with two edges; the shares of the two outer bins are shown as text."""
    if column.levels is not None:
        _level_shares(axes, column, column.levels.levels, tally, legend=legend)
        return
    edges = np.asarray(column.summary.edges, dtype=np.float64)
    then, now = _shares(column.summary.counts), _shares(tally.bins)
    widths = np.diff(edges)
    if len(edges) < 2 or not (widths > 0).all():
        axes.bar(np.arange(len(then)) - 0.2, then, width=0.4, color=_REFERENCE)
        axes.bar(np.arange(len(now)) + 0.2, now, width=0.4, color=_WINDOW)
    else:
        axes.stairs(now[1:-1] / widths, edges, color=_WINDOW, fill=True, alpha=0.35, label="this window")
        axes.stairs(now[1:-1] / widths, edges, color=_WINDOW, lw=1.2)
        axes.stairs(then[1:-1] / widths, edges, color=_REFERENCE, lw=1.4, label="when the model was approved")
        words = f"below {100 * then[0]:.1f} → {100 * now[0]:.1f} %, above {100 * then[-1]:.1f} → {100 * now[-1]:.1f} %"
        axes.text(0.995, 0.93, words, transform=axes.transAxes, ha="right", va="top", fontsize=7, color=MUTED)
        if legend:
            axes.legend(fontsize=7.5, frameon=False, loc="upper left")
    axes.set_yticks([])


def _level_shares(axes: Axes, column: Column, levels: Sequence[str], tally: Tally, *, legend: bool) -> None:
    """The shares of the most frequent values of a category, then of all others, then of unseen ones."""
    counts = np.array([[*column.summary.counts, 0], [*tally.bins, tally.unseen]], dtype=np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    known = shares[:, :-1]
    first = np.argsort(-known.max(axis=0), kind="stable")[:_MAX_LEVELS]
    rest = known.sum(axis=1) - known[:, first].sum(axis=1)
    names = [category_levels.shown(levels[at])[:_MAX_LEVEL_LETTERS] for at in first]
    bars = np.column_stack([known[:, first], rest, shares[:, -1]])
    places = np.arange(bars.shape[1])
    axes.bar(places - 0.2, bars[0], width=0.4, color=_REFERENCE, label="when the model was approved")
    axes.bar(places + 0.2, bars[1], width=0.4, color=_WINDOW, label="this window")
    axes.set_xticks(places, [*names, "others", "unseen"], fontsize=6.5)
    axes.set_yticks([])
    if legend:
        axes.legend(fontsize=7.5, frameon=False, loc="upper right")


def _rates(axes: Axes, then: Confusion, now: Confusion) -> None:
    figures = {
        "recall": ((then.true_positives, then.positives), (now.true_positives, now.positives)),
        "precision": ((then.true_positives, then.alerts), (now.true_positives, now.alerts)),
        "false-positive\nrate": ((then.false_positives, then.negatives), (now.false_positives, now.negatives)),
    }
    for place, pair in enumerate(figures.values()):
        for (count, of), colour, aside in zip(pair, (_REFERENCE, _WINDOW), (-0.12, 0.12), strict=True):
            if not of:
                continue
            estimate = rate(count, of, "")
            value = count / of
            # Rounding can put an interval's end on the wrong side of the figure; that arm has length 0.
            arms = [[max(0.0, value - (estimate.low or 0.0))], [max(0.0, (estimate.high or 1.0) - value)]]
            axes.errorbar([place + aside], [value], yerr=arms, fmt="o", color=colour, ms=5, lw=1.4, capsize=2.5)
    axes.set_xticks(np.arange(len(figures)), list(figures))
    axes.set(ylim=(0, 1.05), xlim=(-0.5, len(figures) - 0.5))
    axes.set_title("grey: approved, blue: this window; 95 %", fontsize=8, loc="left", color=MUTED)
    axes.grid(axis="y", color=GRID, lw=0.6)


def _bands(
    axes: Axes, edges: Sequence[float], then: tuple[Sequence[int], Sequence[int]], verdict: DriftVerdict
) -> None:
    assert verdict.labels is not None  # noqa: S101 - as in `outcomes`
    before = 100 * _rate(*then)
    after = 100 * _rate(verdict.labels["band_frauds"], verdict.labels["band_rows"])
    places = np.arange(len(before))
    fired = {finding.subject for finding in verdict.fired("concept") if finding.statistic == "fraud_rate"}
    axes.bar(places - 0.2, before, width=0.38, color=_REFERENCE)
    axes.bar(places + 0.2, after, width=0.38, color=_WINDOW)
    names = [f"< {edges[0]:g}", *(f"≥ {edge:g}" for edge in edges)] if edges else ["all"]
    axes.set_xticks(places, names, rotation=30, ha="right")
    what = "% frauds by amount" if edges else "% frauds of all rows (the data has no amount)"
    axes.set_title(f"{what}{': fired' if fired else ''}", fontsize=8, loc="left", color=MUTED)
    axes.grid(axis="y", color=GRID, lw=0.6)


def _rate(counts: Sequence[int], rows: Sequence[int]) -> NDArray[np.float64]:
    return np.asarray(counts, dtype=np.float64) / np.maximum(np.asarray(rows, dtype=np.float64), 1.0)


def _shares(counts: Sequence[int]) -> NDArray[np.float64]:
    array = np.asarray(counts, dtype=np.float64)
    return array / max(1.0, float(array.sum()))
