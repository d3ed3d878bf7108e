"""Writes the report of a simulated year: one HTML page that loads nothing, PNGs, and report.json.

The page shows only what is in report.json. Every text that comes from outside (reasons, names, evidence) is escaped,
links are http(s) or relative, and the page's own policy lets it run and load nothing but what is in it.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ml.model.metrics import Estimate
from ml.report import heat_tables, vega_charts, year_charts, year_comparison, year_data, year_plots
from ml.report.year_comparison import SIDE_NAMES, Period
from ml.report.year_data import POOLED, MonthPlayed, PlayedYear

_LOADER = PackageLoader("ml.report")
_NEARLY_ALL = 0.9995


def write(year: PlayedYear, folder: Path) -> list[Path]:
    """Writes report.html, report.json and the pictures into `folder`; their paths, the page first."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"report.html": page(year).encode(), "report.json": year.to_json().encode()} | year_plots.draw(year)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def page(year: PlayedYear) -> str:
    """The page as text; the same year gives the same bytes."""
    drawn = year_charts.charts(year)
    return (
        _environment()
        .get_template("year.html")
        .render(
            year=year,
            approved=len({retrain.approval for retrain in year.retrains if retrain.approval is not None}),
            pooled=_pooled(year),
            compared=[_compared(period) for period in year_comparison.periods(year)],
            rule_summary=year_comparison.summary(year),
            losses=year_comparison.losses(year),
            interim=year_comparison.interim(year),
            gains=_gains(year),
            charts={
                chart.name: {
                    "label": f"{chart.title}. {chart.description}",
                    "says": chart.description,
                    "wide": Markup(chart.svg(vega_charts.WIDE)),  # noqa: S704 - Vega escapes the texts of an SVG
                    "narrow": Markup(chart.svg(vega_charts.NARROW)),  # noqa: S704 - as above
                }
                for chart in drawn
            },
            specifications={f"chart-{chart.name}": chart.vega() for chart in drawn},
            marked=year_charts.approvals_of_requests(year),
            table=[_figures(month, year.reaction.alarm) for month in year.months],
            drift=heat_tables.drift_rows(year),
            bands=heat_tables.band_rows(year),
            legend=heat_tables.drift_legend(year.floor),
            band_legend=heat_tables.band_legend(),
            policy=_policy(),
            style=Markup(_style()),  # noqa: S704 - our own files
            script=Markup(_script()),  # noqa: S704 - Vega and our own files
        )
    )


def _pooled(year: PlayedYear) -> dict[str, Any]:
    """The last months together: what the head of the page has of them."""
    first, last = year.months[-POOLED:][0].number, year.months[-1].number
    served, never = (year.pooled(side) for side in ("with_retraining", "without_retraining"))
    return {
        "months": f"{first} to {last}" if first < last else str(last),
        "recall_with": year_data.recall(served.confusion),
        "recall_without": year_data.recall(never.confusion),
        "rate_with": year_data.false_positive_rate(served.confusion),
        "first_with": year_data.recall_first_kind(served),
    }


def _compared(period: Period) -> dict[str, Any]:
    """A period as rows of a table: the way, its counts, and their rates."""
    names = ("recall", "false_positive_rate")
    return {
        "title": period.title,
        "ways": [
            {name: getattr(year_data, name)(counts.confusion) for name in names}
            | {"name": way, "counts": counts, "recall_first_kind": year_data.recall_first_kind(counts)}
            for way, counts in period.ways
        ],
    }


def _gains(year: PlayedYear) -> list[str]:
    """What the loop gains over each other way of deciding at equal false alarms, in recall and in money."""
    ours = year.equal_false_alarms["with_retraining"]
    found = []
    for side in year_data.SIDES[1:]:
        other = year.equal_false_alarms.get(side)
        if other is None:
            found.append(f"The {SIDE_NAMES[side]} cannot have as few false alarms.")
            continue
        more = ours.value_detected - other.value_detected
        found.append(
            f"Against the {SIDE_NAMES[side]}: recall {_share(ours.recall)} instead of {_share(other.recall)}, of the "
            f"first kind {_share(ours.recall_first_kind)} instead of {_share(other.recall_first_kind)}; frauds of "
            f"{abs(more):,.0f} {'more' if more >= 0 else 'less'} in amount ({ours.value_detected:,.0f} instead of "
            f"{other.value_detected:,.0f})."
        )
    return found


def _share(value: float | None) -> str:
    return "undefined" if value is None else percent(value)


def _figures(month: MonthPlayed, alarm: date | None) -> dict[str, Any]:
    ours, control = month.with_retraining, month.without_retraining
    return {
        "number": month.number,
        "frauds": ours.positives,
        "recall_with": year_data.recall(ours),
        "recall_without": year_data.recall(control),
        "rate_with": year_data.false_positive_rate(ours),
        "rate_without": year_data.false_positive_rate(control),
        "first_with": year_data.recall_first_kind(month.sides["with_retraining"]),
        "first_without": year_data.recall_first_kind(month.sides["without_retraining"]),
        "recall_rule": year_data.recall(month.sides["rule"].confusion),
        "rate_rule": year_data.false_positive_rate(month.sides["rule"].confusion),
        "precision_with": year_data.precision(ours),
        "verdict": _verdict(month, alarm),
    }


def _verdict(month: MonthPlayed, alarm: date | None) -> str:
    """What the tests of the whole month found, and the alarm of a day of it, which they need not have found."""
    found = "no drift" if month.verdict == "none" else month.verdict
    return f"{found}; alarm on {_day(alarm)}" if alarm is not None and month.start <= alarm < month.end else found


def is_safe_link(address: str | None) -> bool:
    """Whether a page may link to `address`: http(s) or relative, never an address that a browser would execute."""
    if not address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") or (not parts.scheme and not parts.netloc)


def percent(share: float) -> str:
    """A share in percent: one decimal from 10 % on, two below; only all of them are `100 %`."""
    if share >= _NEARLY_ALL:
        return "100 %" if share == 1 else "more than 99.9 %"
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
    environment.tests["safe_link"] = is_safe_link
    return environment


@cache
def _source(name: str) -> str:
    return _LOADER.get_source(Environment(autoescape=True), name)[0]


@cache
def _script() -> str:
    return f"{_source('year.js')}\n{vega_charts.script()}"


@cache
def _style() -> str:
    return _source("heat.css") + _source("year.css")


@cache
def _policy() -> str:
    """A content security policy: nothing from elsewhere, and only the page's own script and style, by their digests."""
    script, style = (
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (_script(), _style())
    )
    return (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
