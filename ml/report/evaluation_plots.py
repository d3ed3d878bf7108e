"""Draws the plots of an evaluation as PNG, for approval pull requests; equal numbers give equal bytes.

Drawn from evaluation.json, never from rows. Independent of the machine: matplotlib's settings, installed
fonts and the time are not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.report.png import png

_INK, _MUTED, _GRID = "#1f2328", "#59636e", "#d1d9e0"
_GOOD, _BAD, _CURVE = "#1a7f37", "#cf222e", "#0969da"
_DPI = 144
_INCHES = (5.6, 4.2)  # 806 × 604 pixels: two fit side by side in a pull request


def confusion_matrix(evaluation: Mapping[str, Any]) -> bytes:
    """The confusion matrix on the test rows.

    Each cell has its count and its share of its row (of the frauds, of the legitimate rows). Colour is by that share:
    colour by count would only show how rare fraud is.

    Args:
        evaluation: as evaluation.json; `confusion` and `threshold` are read.
    """
    counts = evaluation["confusion"]
    cells = np.array(
        [
            [counts["true_positives"], counts["false_negatives"]],
            [counts["false_positives"], counts["true_negatives"]],
        ]
    )
    totals = cells.sum(axis=1, keepdims=True)
    shares = cells / np.maximum(totals, 1)
    with _drawing("Confusion matrix on the test rows", evaluation) as (figure, axes):
        for (row, column), count in np.ndenumerate(cells):
            right = row == column
            axes.add_patch(
                mpl.patches.Rectangle(
                    (column, 1 - row),
                    1,
                    1,
                    facecolor=_GOOD if right else _BAD,
                    alpha=0.08 + 0.42 * float(shares[row, column]),
                    edgecolor="none",
                )
            )
            words = (("found", "missed"), ("false alarms", "let through"))[row][column]
            share = _percent(float(shares[row, column])) if totals[row, 0] else "–"
            middle = column + 0.5
            axes.text(middle, 1.62 - row, f"{int(count):,}", ha="center", va="center", fontsize=19, color=_INK)
            axes.text(middle, 1.38 - row, f"{share}  ·  {words}", ha="center", va="center", fontsize=9, color=_INK)
        axes.set(xlim=(0, 2), ylim=(0, 2))
        axes.set_xticks([0.5, 1.5], ["alerted", "not alerted"])
        axes.set_yticks([1.5, 0.5], [f"fraud\n{int(totals[0, 0]):,}", f"legitimate\n{int(totals[1, 0]):,}"])
        axes.tick_params(length=0)
        axes.axhline(1, color="white", lw=3)
        axes.axvline(1, color="white", lw=3)
        return png(figure)


def precision_recall_curve(evaluation: Mapping[str, Any]) -> bytes:
    """Precision at every recall, with the model's threshold marked and the share of frauds as the floor.

    A model without information has the precision of the floor: compare average precision with it, not with 0.5.

    Args:
        evaluation: as evaluation.json; `curves`, `metrics`, `rows`, `positives` and `threshold` are read.
    """
    points = np.array(evaluation["curves"]["precision_recall"], dtype=np.float64).reshape(-1, 3)
    metrics = evaluation["metrics"]
    floor = evaluation["positives"] / evaluation["rows"] if evaluation["rows"] else 0.0
    average = _with_interval(metrics.get("average_precision"))
    with _drawing("Precision and recall on the test rows", evaluation) as (figure, axes):
        # Between two points, precision is that of the next point: linear interpolation would be too optimistic.
        axes.step(points[:, 0], points[:, 1], where="pre", color=_CURVE, lw=1.8, label=f"average precision {average}")
        axes.axhline(floor, color=_MUTED, lw=1, ls=(0, (4, 3)), label=f"alerting at random: {_percent(floor)}")
        recall, precision = (metrics.get(name) for name in ("recall", "precision"))
        if _is_defined(recall) and _is_defined(precision):
            _draw_operating_point(axes, recall, precision)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall: share of the frauds that are found")
        axes.set_ylabel("precision: share of the alerts that are frauds")
        axes.grid(color=_GRID, lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="lower left", fontsize=8, frameon=True, facecolor="white", edgecolor="none", framealpha=0.9)
        return png(figure)


def _draw_operating_point(axes: Axes, recall: Any, precision: Any) -> None:
    """Draws the operating point with the intervals of both figures as a cross."""
    axes.errorbar(
        [recall["value"]],
        [precision["value"]],
        xerr=_arms(recall),
        yerr=_arms(precision),
        fmt="o",
        color=_BAD,
        ms=6,
        lw=1.2,
        capsize=2.5,
        label=f"at the threshold: recall {_with_interval(recall)},\nprecision {_with_interval(precision)}",
    )


def _arms(figure: Any) -> list[list[float]]:
    # Rounding can put an interval's end on the wrong side of the figure; that arm has length 0.
    return [[max(0.0, figure["value"] - figure["low"])], [max(0.0, figure["high"] - figure["value"])]]


def _is_defined(figure: Any) -> bool:
    return figure is not None and None not in (figure["value"], figure["low"], figure["high"])


def _with_interval(figure: Any) -> str:
    if not _is_defined(figure):
        return "not known"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _percent(share: float) -> str:
    """`share` in percent with three significant digits, so that 0.2 % is not shown as 0."""
    return "0 %" if share == 0 else f"{100 * share:.3g} %"


@contextmanager
def _drawing(title: str, evaluation: Mapping[str, Any]) -> Iterator[tuple[Figure, Axes]]:
    threshold = evaluation["threshold"]["score"]
    # Settings of matplotlib from files and from other code must not change the picture.
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": _INK, "axes.labelcolor": _INK})
        figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=22)
        axes.text(
            0,
            1.03,
            f"{evaluation['rows']:,} rows, {evaluation['positives']:,} frauds; alerts at a score of {threshold:.4g}",
            transform=axes.transAxes,
            fontsize=8.5,
            color=_MUTED,
        )
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
        axes.tick_params(labelsize=8.5, colors=_INK)
        for side in axes.spines.values():
            side.set_visible(False)
        yield figure, axes


def draw(evaluation: Mapping[str, Any]) -> dict[str, bytes]:
    """Both pictures by their file names."""
    return {
        "confusion-matrix.png": confusion_matrix(evaluation),
        "precision-recall.png": precision_recall_curve(evaluation),
    }
