"""Builds the heat maps of a simulated year as tables: drift by feature and month, fraud rate by amount and month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml.report import year_data
from ml.report.year_data import MonthPlayed, PlayedYear

_FLOOR_MULTIPLES = (0.3, 0.6, 1.0, 2.0, 4.0)
"""Where the colour of a drift statistic changes, in multiples of the floor."""
_RATE_MULTIPLES = (2, 5, 20, 75, 200)
"""Where the colour of a fraud rate changes, in multiples of the rate of month 1."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: its text, the class of its colour, and its tooltip."""

    text: str
    class_: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: a feature or an amount band, with a cell for each month."""

    name: str
    cells: tuple[Cell, ...]


def drift_rows(year: PlayedYear) -> list[Row]:
    """The drift statistic of each feature in each month, in hundredths."""
    names = list(dict.fromkeys(name for month in year.months for name in month.drift or ()))
    return [Row(name=name, cells=tuple(_drift_cell(year, month, name) for month in year.months)) for name in names]


def drift_legend(floor: float) -> list[str]:
    """The ranges of the six colours of `drift_rows`, the lightest first."""
    edges = [f"{100 * multiple * floor:.2g}" for multiple in _FLOOR_MULTIPLES]
    edges[_FLOOR_MULTIPLES.index(1.0)] += " (minimum effect size)"
    return [f"below {edges[0]}", *edges]


def band_rows(year: PlayedYear) -> list[Row]:
    """The fraud rate of each amount band in each month, in percent, the highest band first."""
    names = year_data.band_names(year.band_edges)
    first_month = year.months[0]
    rows, frauds = sum(first_month.rows_by_band), sum(first_month.frauds_by_band)
    usual_rate = frauds / rows if rows else 0.0
    return [
        Row(name=name, cells=tuple(_band_cell(month, band, name, usual_rate) for month in year.months))
        for band, name in reversed(list(enumerate(names)))
    ]


def band_legend() -> list[str]:
    """The ranges of the six colours of `band_rows`, the lightest first."""
    first, *_ = _RATE_MULTIPLES
    return [f"below {first} times the rate of month 1", *(f"{multiple} times" for multiple in _RATE_MULTIPLES)]


def drift_level(value: float, floor: float) -> int:
    """The colour of a drift statistic, 0 (lightest) to 5."""
    return int(np.searchsorted(np.array(_FLOOR_MULTIPLES) * floor, value, side="right"))


def rate_level(rate: float, usual_rate: float) -> int:
    """The colour of a fraud rate, 0 (lightest) to 5."""
    return int(np.searchsorted(_RATE_MULTIPLES, rate / usual_rate if usual_rate else 0.0, side="right"))


def _drift_cell(year: PlayedYear, month: MonthPlayed, name: str) -> Cell:
    value = None if month.drift is None else month.drift.get(name)
    if value is None:
        return Cell(text="", class_="gap", title=f"{name}, month {month.number}: no data")
    drifted = name in month.drifted
    title = f"{name}, month {month.number}: {year.statistic} {value:.3f}{', counts as drifted' if drifted else ''}"
    level = f"h{drift_level(value, year.floor)}"
    return Cell(text=f"{100 * value:.0f}", class_=f"{level} fired" if drifted else level, title=title)


def _band_cell(month: MonthPlayed, band: int, name: str, usual_rate: float) -> Cell:
    frauds, rows = month.frauds_by_band[band], month.rows_by_band[band]
    title = f"{name}, month {month.number}: {frauds:,} of {rows:,}"
    if not rows:
        return Cell(text="", class_="gap", title=title)
    percent = 100 * frauds / rows
    text = f"{percent:.1f}" if percent < 9.95 else f"{percent:.0f}"
    return Cell(text=text, class_=f"h{rate_level(percent / 100, usual_rate)}", title=title)
