"""Draws the plots of an evaluation as PNG, for approval pull requests; equal numbers give equal bytes.

Drawn from evaluation.json, never from rows. Independent of the machine: matplotlib's settings, installed
fonts and the time are not used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from ml.report import threshold_points
from ml.report.png import png
from ml.report.threshold_points import Better

_INK, _MUTED, _GRID = "#1f2328", "#59636e", "#d1d9e0"
_GOOD, _BAD, _CURVE = "#1a7f37", "#cf222e", "#0969da"
_CHAMPION, _MONEY = "#6639ba", "#9a6700"
_DASHED = (0, (5, 2))
_OURS: dict[str, Any] = {"marker": "o", "color": _BAD, "ms": 7}
_THEIRS: dict[str, Any] = {"marker": "s", "color": _CHAMPION, "ms": 8, "mfc": "none", "mew": 1.8}
_DPI = 144
_AROUND = 20  # times as many and as few alerts as at the thresholds are shown
_INCHES = (5.6, 4.2)  # 806 × 604 pixels: two fit side by side in a pull request
_WIDE_INCHES = (10.4, 6.0)  # 1498 × 864 pixels, two panels


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


def decision(evaluation: Mapping[str, Any], *, days: float | None) -> bytes:
    """The picture that the decision rests on: precision and recall of both models, and what thresholds cost and find.

    Where both were compared, both panels are of the rows of the comparison alone, which the champion has not seen: each
    curve with its vertical parts and its operating point. An evaluation of schema 1 has no curve of the champion: its
    operating point on those rows stands for it, beside the new model's curve on the test rows. A model without
    information has the precision of the floor: compare average precision with it, not with 0.5.

    Args:
        evaluation: as evaluation.json.
        days: the number of days that the test rows stand for; None if unknown, then alerts are counted in all.
    """
    with _settings():
        engine = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.08)
        figure = Figure(figsize=_WIDE_INCHES, dpi=_DPI, facecolor="white", layout=engine)
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2)
        if evaluation["curves"].get("compared") is None:
            _style(left, "Precision and recall on the test rows", evaluation)
            _draw_precision_recall(left, evaluation)
        else:
            _draw_both(left, evaluation)
        _style(right, "What a threshold costs and finds", evaluation, _compared_rows(evaluation))
        _draw_trade_off(right, evaluation, days)
        return png(figure)


def _draw_precision_recall(axes: Axes, evaluation: Mapping[str, Any]) -> None:
    metrics, champion = evaluation["metrics"], threshold_points.compared_point(evaluation, "champion")
    floor = evaluation["positives"] / evaluation["rows"] if evaluation["rows"] else 0.0
    points = np.array(threshold_points.curve(evaluation), dtype=np.float64).reshape(-1, 2)
    average = _with_interval(metrics.get("average_precision"))
    axes.plot(points[:, 0], points[:, 1], color=_CURVE, lw=1.8, label=f"this model: average precision {average}")
    axes.axhline(floor, color=_MUTED, lw=1, ls=(0, (4, 3)), label=f"alerting at random: {_percent(floor)}")
    recall, precision = (metrics.get(name) for name in ("recall", "precision"))
    if _is_defined(recall) and _is_defined(precision):
        _draw_operating_point(axes, recall, precision)
    if champion is not None:
        words = f"champion, on {evaluation['champion']['rows']:,} rows new to it:\nrecall {champion[0]:.3f}, "
        words += f"precision {champion[1]:.3f}"
        axes.plot(*champion, ls="", label=words, **_THEIRS)
    _draw_better(axes, evaluation, lambda found: (found.recall, found.precision))
    _finish_precision_recall(axes)


def _compared_rows(evaluation: Mapping[str, Any]) -> str:
    """The rows that both curves are of; '' without the champion's curve."""
    both = evaluation["curves"].get("compared")
    return f"{both['rows']:,} test rows that the champion has not seen, {both['positives']:,} frauds" if both else ""


def _draw_both(axes: Axes, evaluation: Mapping[str, Any]) -> None:
    """Both models on the same rows, each with its curve and the point of its threshold."""
    both, compared = evaluation["curves"]["compared"], evaluation["champion"]
    rows, positives = both["rows"], both["positives"]
    _style(axes, "Precision and recall of both models", evaluation, _compared_rows(evaluation))
    average, recall, precision = (compared[figure] for figure in ("average_precision", "recall", "precision"))
    drawn = (("challenger", "this model", _CURVE, "-", _OURS), ("champion", "champion", _CHAMPION, _DASHED, _THEIRS))
    for model, name, colour, style, marker in drawn:
        label = f"{name}: average precision {average[model]:.3f}" if average is not None else name
        points = threshold_points.compared_curve(evaluation, model)
        axes.plot(*zip(*points, strict=True), color=colour, lw=1.8, ls=style, label=label)
        if recall is not None and precision is not None:
            place = (recall[model], precision[model])
            label = f"{name} at its threshold: recall {place[0]:.3f}, precision {place[1]:.3f}"
            axes.plot(*place, ls="", label=label, **marker)
    floor = positives / rows
    axes.axhline(floor, color=_MUTED, lw=1, ls=(0, (1, 3)), label=f"alerting at random: {_percent(floor)}")
    _draw_better(axes, evaluation, lambda found: (found.recall, found.precision))
    _finish_precision_recall(axes)


def _finish_precision_recall(axes: Axes) -> None:
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall: share of the frauds that are found")
    axes.set_ylabel("precision: share of the alerts that are frauds")
    _legend(axes)


def _draw_trade_off(axes: Axes, evaluation: Mapping[str, Any], days: float | None) -> None:
    """Alerts a day against the share of the frauds and of their amount that is found.

    Alerts are counted as if the rows of a comparison were as many as the test rows.
    """
    per = days or 1.0
    test, unit = evaluation["rows"] / per, " alerts a day" if days else " alerts"
    looks: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
        "challenger": ("this model", _CURVE, "-", _OURS),
        "champion": ("champion", _CHAMPION, _DASHED, _THEIRS),
    }
    sides = threshold_points.trade_off(evaluation)
    for side in sides:
        name, colour, style, _ = looks[side.model]
        if side.line:
            line = [(share * test, recall) for share, recall in side.line]
            axes.plot(*zip(*line, strict=True), color=colour, lw=1.8, ls=style, label=f"frauds found by {name}")
    _draw_amounts(axes, evaluation, per)
    points_at: list[float] = []
    for side in sides:
        name, _, _, marker = looks[side.model]
        if side.point is not None:
            raised = side.point[0] * test
            points_at.append(raised)
            where = " at its threshold" if side.rows == sides[0].rows else f", on {side.rows:,} rows new to it"
            axes.plot(raised, side.point[1], ls="", label=f"{name}{where}: {raised:,.1f}{unit}", **marker)
    _draw_better(
        axes,
        evaluation,
        lambda each: (threshold_points.alerts(evaluation, (each.recall, each.precision)) / per, each.recall),
    )
    axes.set(ylim=(0, 1.02), xlabel="alerts a day" if days else "alerts among the test rows; no whole day of data")
    if axes.lines:
        axes.set_xscale("log")
        _limit_to_thresholds(axes, points_at)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_ylabel("share that is found")
    _legend(axes)


def _limit_to_thresholds(axes: Axes, alerts: list[float]) -> None:
    """Shows the curve around both thresholds, so that the distance between them can be seen."""
    if alerts:
        low, high = axes.get_xlim()
        axes.set_xlim(max(low, min(alerts) / _AROUND), min(high, max(alerts) * _AROUND))


def _draw_amounts(axes: Axes, evaluation: Mapping[str, Any], per: float) -> None:
    """The share of the frauds' amount that each model finds, by alerts a day, and at its own threshold.

    An evaluation without `amounts_found` has that of the new model alone, at some alert rates and on all test rows.
    """
    measured = evaluation.get("amounts_found")
    if measured is None:
        models = {"challenger": {"options": evaluation["budget"]["options"]}}
        scale, rows = 1 / per, evaluation["rows"]
    else:
        models, rows = measured["models"], measured["rows"]
        scale = evaluation["rows"] / rows / per
    for model, name, colour, style in (
        ("challenger", "this model", _MONEY, "-"),
        ("champion", "champion", _MUTED, ":"),
    ):
        points = [
            (each["alerts"] * scale, each["value_recall"])
            for each in models.get(model, {}).get("options", ())
            if each["value_recall"] is not None and each["alerts"]
        ]
        if points:
            label = f"money found by {name}"
            if "value_recall" in models[model]:
                label += f": {_percent(models[model]['value_recall'])} at its threshold"
            if rows != ((evaluation["curves"].get("compared") or evaluation)["rows"]):
                label += f", on {rows:,} test rows"
            axes.plot(*zip(*points, strict=True), "^", color=colour, ls=style, ms=5, lw=1.2, label=label)


def _draw_better(axes: Axes, evaluation: Mapping[str, Any], place: Callable[[Better], tuple[float, float]]) -> None:
    both = evaluation["curves"].get("compared")
    found = threshold_points.to_point_out(evaluation)
    if found is not None and (both is None or both["rows"] == evaluation["rows"]):  # it is a point of all test rows
        label = f"at a score of {found.score:.4g}: {found.saved:,} fewer false alarms"
        axes.plot(*place(found), "D", color=_GOOD, ms=8, mfc="none", mew=1.8, label=label)


def _legend(axes: Axes) -> None:
    axes.grid(color=_GRID, lw=0.6)
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        # Below the axes, so that it never covers a curve.
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), fontsize=9, frameon=False, borderaxespad=0)


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
def _settings() -> Iterator[None]:
    """Settings of matplotlib from files and from other code must not change a picture."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": _INK, "axes.labelcolor": _INK})
        yield


@contextmanager
def _drawing(title: str, evaluation: Mapping[str, Any]) -> Iterator[tuple[Figure, Axes]]:
    with _settings():
        figure = Figure(figsize=_INCHES, dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        _style(axes, title, evaluation)
        yield figure, axes


def _style(axes: Axes, title: str, evaluation: Mapping[str, Any], words: str = "") -> None:
    """Sets title and colours; under the title `words`, or else the number of test rows and the threshold."""
    axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=22)
    axes.text(
        0,
        1.03,
        words
        or f"{evaluation['rows']:,} rows, {evaluation['positives']:,} frauds; "
        f"alerts at a score of {evaluation['threshold']['score']:.4g}",
        transform=axes.transAxes,
        fontsize=8.5,
        color=_MUTED,
    )
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    axes.tick_params(labelsize=8.5, colors=_INK)
    for side in axes.spines.values():
        side.set_visible(False)


def draw(evaluation: Mapping[str, Any], *, days: float | None) -> dict[str, bytes]:
    """Both pictures by their file names; `days` as for `decision`."""
    return {
        "decision.png": decision(evaluation, days=days),
        "confusion-matrix.png": confusion_matrix(evaluation),
    }
