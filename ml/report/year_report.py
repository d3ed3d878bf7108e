"""The report of a played year: one page that loads nothing, its pictures as PNG, and report.json, which is all of it.

What the page shows is what report.json holds. Every text that comes from outside (reasons, names, evidence) is escaped,
links are http(s) or relative, and the page's own policy lets it run and load nothing but what is in it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ml.model.metrics import Estimate
from ml.report import year_charts, year_data, year_plots
from ml.report.svg import is_safe
from ml.report.year_data import POOLED, MonthPlayed, PlayedYear

_LOADER = PackageLoader("ml.report")
_CHARTS = {"recall": year_charts.recall, "alerts": year_charts.alerts, "serving": year_charts.serving}


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One field of a heat map."""

    text: str
    class_: str
    title: str


@dataclass(frozen=True, kw_only=True)
class _HeatRow:
    name: str
    cells: tuple[_Cell, ...]


def write(year: PlayedYear, folder: Path) -> list[Path]:
    """Writes report.html, report.json and the pictures into `folder`; their paths, the page first."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"report.html": page(year).encode(), "report.json": year.to_json().encode()} | year_plots.draw(year)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def page(year: PlayedYear) -> str:
    """The page as text; the same year gives the same bytes."""
    return (
        _environment()
        .get_template("year.html")
        .render(
            year=year,
            approved=len({retrain.approval for retrain in year.retrains if retrain.approval is not None}),
            pooled=_pooled(year),
            charts={
                name: [Markup(draw(year, width)) for width in (year_charts.WIDE, year_charts.NARROW)]  # noqa: S704 - escaped by its tree
                for name, draw in _CHARTS.items()
            },
            table=[_figures(month) for month in year.months],
            drift=_drift(year),
            bands=_bands(year),
            legend=_drift_legend(year.floor),
            band_legend=[
                f"below {year_charts.BANDS[0]} times the rate of month 1",
                *(f"{times} times" for times in year_charts.BANDS),
            ],
            policy=_policy(),
            style=Markup(_source("year.css")),  # noqa: S704 - our own file
            script=Markup(_source("year.js")),  # noqa: S704 - our own file
        )
    )


def _pooled(year: PlayedYear) -> dict[str, Any]:
    first, last = year.months[-POOLED:][0].number, year.months[-1].number
    sides: dict[str, Any] = {
        side: {
            name: getattr(year_data, name)(year.pooled(side)) for name in ("recall", "precision", "false_positive_rate")
        }
        for side in ("with_retraining", "without_retraining")
    }
    return sides | {"months": f"{first} to {last}" if first < last else str(last)}


def _figures(month: MonthPlayed) -> dict[str, Any]:
    ours, control = month.with_retraining, month.without_retraining
    return {
        "number": month.number,
        "frauds": ours.positives,
        "recall_with": year_data.recall(ours),
        "recall_without": year_data.recall(control),
        "rate_with": year_data.false_positive_rate(ours),
        "rate_without": year_data.false_positive_rate(control),
        "precision_with": year_data.precision(ours),
        "verdict": month.verdict,
    }


def _drift(year: PlayedYear) -> list[_HeatRow]:
    names = list(dict.fromkeys(name for month in year.months for name in month.drift or ()))
    return [_HeatRow(name=name, cells=tuple(_drift_cell(year, month, name) for month in year.months)) for name in names]


def _drift_cell(year: PlayedYear, month: MonthPlayed, name: str) -> _Cell:
    value = None if month.drift is None else month.drift.get(name)
    if value is None:
        return _Cell(text="", class_="gap", title=f"{name}, month {month.number}: no data")
    fired = name in month.drifted
    words = f"{name}, month {month.number}: {year.statistic} {value:.3f}{', counts as drifted' if fired else ''}"
    level = f"h{year_charts.level(value, year.floor)}"
    return _Cell(text=f"{100 * value:.0f}", class_=f"{level} fired" if fired else level, title=words)


def _drift_legend(floor: float) -> list[str]:
    edges = [f"{100 * times * floor:.2g}" for times in year_charts.LEVELS]
    edges[year_charts.FLOOR_AT] += " (the least that counts)"
    return [f"below {edges[0]}", *edges]


def _bands(year: PlayedYear) -> list[_HeatRow]:
    names = year_data.band_names(year.band_edges)
    rows, frauds = (
        sum(sum(getattr(m, which)) for m in year.months[:1]) for which in ("rows_by_band", "frauds_by_band")
    )
    usual = frauds / rows if rows else 0.0
    found = []
    for place in reversed(range(len(names))):  # the highest amounts on top, where flipped labels show
        cells = []
        for month in year.months:
            count, of = month.frauds_by_band[place], month.rows_by_band[place]
            words = f"{names[place]}, month {month.number}: {count:,} of {of:,}"
            share = 100 * count / of if of else None
            level = "gap" if share is None else f"h{year_charts.fraud_level(share / 100, usual)}"
            text = "" if share is None else f"{share:.1f}" if share < 9.95 else f"{share:.0f}"
            cells.append(_Cell(text=text, class_=level, title=words))
        found.append(_HeatRow(name=names[place], cells=tuple(cells)))
    return found


def percent(share: float) -> str:
    """A share in percent: one decimal from 10 % on, two below."""
    return f"{100 * share:.1f} %" if share >= 0.0995 else f"{100 * share:.2f} %"


def interval(figure: Estimate) -> str:
    """A rate in percent with its interval."""
    if figure.value is None or figure.low is None or figure.high is None:
        return "not defined"
    return f"{percent(figure.value)} ({percent(figure.low)[:-2]} to {percent(figure.high)[:-2]})"


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_LOADER, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": percent,
        "interval": interval,
        "day": _day,
        "moment": _moment,
        "count": lambda number: f"{number:,}",
    }
    environment.tests["safe_link"] = is_safe
    return environment


@cache
def _source(name: str) -> str:
    return _LOADER.get_source(Environment(autoescape=True), name)[0]


@cache
def _policy() -> str:
    """Nothing from elsewhere, and no script or style but ours, by their digests; cells and charts carry no style."""
    script, style = (
        base64.b64encode(hashlib.sha256(_source(name).encode()).digest()).decode() for name in ("year.js", "year.css")
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
