"""Draws the plots of a simulated year as PNG, for the documentation; the same year gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ml.report import year_data
from ml.report.png import png
from ml.report.year_data import PlayedYear

_INK, _MUTED, _GRID = "#1f2328", "#59636e", "#d1d9e0"
_SIDES = (
    ("rule", "first model or amount rule", "#59636e", "^", (0, (1, 2))),
    ("without_retraining", "without retraining", "#bc4c00", "s", (0, (5, 3))),
    ("with_retraining", "with retraining", "#0969da", "o", "-"),
)
_DPI = 144
_ROLLOUT = "#1a7f37"
_LABEL_MONTHS, _LABEL_HEIGHT = 0.5, 0.06
"""The width of an approval's number in months, and the distance of the two rows of numbers in recall."""


def draw(year: PlayedYear) -> dict[str, bytes]:
    """Every picture by its file name."""
    drawers: dict[str, Callable[[PlayedYear], bytes]] = {
        "recall.png": recall,
        "drift.png": drift,
        "alerts.png": alerts,
        "fraud-by-amount.png": fraud_by_amount,
    }
    return {name: drawer(year) for name, drawer in drawers.items()}


def recall(year: PlayedYear) -> bytes:
    """Recall by month, with and without retraining and by the rule, and the roll-outs of retrained models."""
    with _drawing("Recall by month, with and without retraining, and by a rule", year, 4.2) as (figure, axes):
        for side, name, colour, marker, style in _SIDES:
            figures = [(m.number, year_data.recall(m.sides[side].confusion)) for m in year.months]
            known = [(n, f.value, f.low, f.high) for n, f in figures if f.value is not None]
            columns = np.array(known, dtype=float).reshape(-1, 4).T
            if side != "rule":
                axes.fill_between(columns[0], columns[2], columns[3], color=colour, alpha=0.15, lw=0)
            axes.plot(columns[0], columns[1], color=colour, marker=marker, ms=5, lw=2, ls=style, label=name)
        axes.axhline(year.min_recall, color=_MUTED, lw=1, ls=":", label=f"gate: {100 * year.min_recall:.0f} %")
        marks = _rollouts(year)
        label = "retrained model serves, with its approval"
        for place, (x, name) in zip(_label_rows([x for x, _ in marks]), marks, strict=True):
            axes.axvline(x, color=_ROLLOUT, lw=1.2, label=label)
            axes.text(x + 0.05, 1.02 + place * _LABEL_HEIGHT, name, fontsize=8, color=_ROLLOUT)
            label = "_nolegend_"  # one entry for all lines
        axes.set(ylim=(0, 1.14), xlim=(0.5, len(year.months) + 0.5), xlabel="month")
        axes.set_xticks([month.number for month in year.months])
        axes.grid(axis="y", color=_GRID, lw=0.6)
        axes.legend(loc="center left", bbox_to_anchor=(0.0, 0.34), fontsize=8.5, frameon=False)
        return png(figure)


def _rollouts(year: PlayedYear) -> list[tuple[float, str]]:
    """Where on the axis of months each retrained model began to serve, in order, with its approval's number."""
    retrained = {retrain.approval for retrain in year.retrains}
    found = []
    for item in year.deployments:
        for month in year.months:
            if item.approval in retrained and month.start <= item.start.date() < month.end:
                share = (item.start.date() - month.start).days / (month.end - month.start).days
                found.append((month.number - 0.5 + share, f"{item.approval:04d}"))
    return sorted(found)


def _label_rows(places: Sequence[float]) -> list[int]:
    """The row of each label, 0 or 1, so that neighbours in a row do not overlap; of three close ones two may."""
    ends = [-np.inf, -np.inf]
    rows = []
    for place in places:
        row = 0 if place >= ends[0] or ends[0] <= ends[1] else 1
        ends[row] = place + _LABEL_MONTHS
        rows.append(row)
    return rows


def drift(year: PlayedYear) -> bytes:
    """The drift statistic of each feature in each month; grey if there was no data."""
    names = list(dict.fromkeys(name for month in year.months for name in month.drift or ()))
    values = np.array([[(month.drift or {}).get(name, np.nan) for month in year.months] for name in names], dtype=float)
    with _drawing(f"{year.statistic} by feature and month", year, 6.6) as (figure, axes):
        if names:
            colours = mpl.colormaps["cividis"].with_extremes(bad="#e6e8eb")
            image = axes.imshow(
                np.ma.masked_invalid(values), aspect="auto", cmap=colours, vmin=0, vmax=max(4 * year.floor, 1e-9)
            )
            axes.set_yticks(range(len(names)), names, fontsize=7)
            axes.set_xticks(range(len(year.months)), [str(month.number) for month in year.months])
            bar = figure.colorbar(image, ax=axes, pad=0.02)
            bar.ax.axhline(year.floor, color="white", lw=1.5)
            bar.ax.tick_params(labelsize=8)
        axes.set_xlabel("month")
        return png(figure)


def alerts(year: PlayedYear) -> bytes:
    """Alerts per day, with the frauds among them in a darker colour."""
    days = [day for month in year.months for day in month.alerts]
    with _drawing("Alerts per day of the model that served", year, 3.4) as (figure, axes):
        places = np.arange(len(days))
        axes.bar(places, [day.alerts for day in days], width=1, color="#b6bfc9", label="false alarms")
        axes.bar(places, [day.frauds for day in days], width=1, color="#a40e26", label="frauds")
        edges = np.cumsum([0, *(len(month.alerts) for month in year.months)])
        axes.set_xticks((edges[:-1] + edges[1:]) / 2, [str(month.number) for month in year.months])
        axes.set(xlabel="month", xlim=(-0.5, max(1, len(days)) - 0.5))
        axes.legend(loc="upper left", fontsize=8.5, frameon=False)
        return png(figure)


def fraud_by_amount(year: PlayedYear) -> bytes:
    """The fraud rate of each band of amounts by month, on a logarithmic scale."""
    names = year_data.band_names(year.band_edges)
    with _drawing("Fraud rate by amount", year, 4.2) as (figure, axes):
        for place, name in enumerate(names):
            shares = [month.frauds_by_band[place] / max(1, month.rows_by_band[place]) for month in year.months]
            shown = [share if share else np.nan for share in shares]
            colour = mpl.colormaps["viridis"](0.9 * place / max(1, len(names) - 1))
            axes.plot(
                [month.number for month in year.months], shown, marker="o", ms=4, lw=1.6, color=colour, label=name
            )
        axes.set(yscale="log", xlabel="month", xlim=(0.5, len(year.months) + 0.5))
        axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda share, _: f"{100 * share:g} %"))
        axes.set_xticks([month.number for month in year.months])
        axes.grid(axis="y", color=_GRID, lw=0.6)
        axes.legend(
            title="amount", title_fontsize=8, fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)
        )
        return png(figure)


@contextmanager
def _drawing(title: str, year: PlayedYear, height: float) -> Iterator[tuple[Figure, Axes]]:
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "text.color": _INK, "axes.labelcolor": _INK})
        figure = Figure(figsize=(8, height), dpi=_DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set_title(title, fontsize=11, fontweight="bold", loc="left", pad=20)
        words = f"scenario {year.scenario}, seed {year.seed}, {year.rows_a_month:,} transactions a month"
        axes.annotate(words, (0, 1), (0, 5), "axes fraction", textcoords="offset points", fontsize=8.5, color=_MUTED)
        axes.xaxis.label.set_fontsize(9)
        axes.tick_params(labelsize=8.5, colors=_INK)
        for side in axes.spines.values():
            side.set_visible(False)
        yield figure, axes
