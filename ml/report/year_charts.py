"""Builds the charts of a simulated year: recall by month, alerts per day, precision by month, and what served when."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from ml.model.metrics import Estimate
from ml.report import year_data
from ml.report.vega_charts import NARROW, Chart, Layer, details_on_hover
from ml.report.year_data import Deployment, PlayedYear

_NEARLY_ALL = 0.9995
_LABEL_WIDTH = 24  # pixels that the number of a month needs on an axis
_SIDES = ("with retraining", "without retraining", "first model or amount rule")
_KEYS = dict(zip(_SIDES, year_data.SIDES, strict=True))
_SIDE_COLOURS = ["var(--with)", "var(--without)", "var(--soft)"]
_SHARE_AXIS = {"title": None, "values": [0, 0.25, 0.5, 0.75, 1], "labelExpr": "format(100 * datum.value, 'd') + ' %'"}
_SHARE_SCALE = {"domain": [0, 1]}


def charts(year: PlayedYear) -> list[Chart]:
    """All of them, in the order of the page."""
    return [recall(year), alerts(year), precision(year), serving(year)]


def recall(year: PlayedYear) -> Chart:
    """Recall by month in both years, with its 95 % interval, and by the rule; approvals of requests are marked."""
    points = [
        {"month": month.number, "side": side} | _interval(figure, f"Month {month.number} {side}: recall")
        for side in _SIDES
        for month in year.months
        if (figure := year_data.recall(month.sides[_KEYS[side]].confusion)).value is not None
    ]
    ends = [_words(year_data.recall(year.months[-1].sides[_KEYS[side]].confusion)) for side in _SIDES]
    colour = {"field": "side", "scale": {"domain": _SIDES, "range": _SIDE_COLOURS}}
    y = {"field": "value", "type": "quantitative", "scale": _SHARE_SCALE, "axis": _SHARE_AXIS}
    dash = {"field": "side", "scale": {"domain": _SIDES, "range": [[1, 0], [7, 4], [2, 3]]}}
    shape = {"field": "side", "scale": {"domain": _SIDES, "range": ["circle", "square", "triangle-up"]}}
    return Chart(
        name="recall",
        title="Recall by month, with and without retraining, and by the first model with a rule on the amount",
        description=(
            f"{_lowest(points)}In month {year.months[-1].number} recall is {ends[0]} with retraining, {ends[1]} "
            f"without and {ends[2]} by the first model with a rule on the amount. The table below has every month."
        ),
        data=points,
        encoding={"x": _months(year, "month"), "color": colour},
        layers=[
            {
                "transform": [{"filter": f"datum.side !== '{_SIDES[2]}'"}],
                "mark": {"type": "area", "opacity": 0.18},
                "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "strokeWidth": 2.5}, "encoding": {"y": y, "strokeDash": dash}},
            {"mark": {"type": "point", "filled": True, "opacity": 1, "size": 60}, "encoding": {"y": y, "shape": shape}},
            *_gate(year.min_recall),
            *_approval_marks(year),
        ],
        details=[details_on_hover(y)],
    )


def _lowest(points: Sequence[Mapping[str, Any]]) -> str:
    """The month with the lowest recall with retraining, as a sentence and a space; empty if recall has no value."""
    found = min((each for each in points if each["side"] == _SIDES[0]), key=lambda each: each["value"], default=None)
    if not found:
        return ""
    return f"With retraining, recall is lowest in month {found['month']}, {_percent(found['value'])} %. "


def alerts(year: PlayedYear) -> Chart:
    """Alerts per day of the model that served; the frauds among them are darker."""
    days = [
        {
            "month": month.number - 0.5 + place / len(month.alerts),
            "middle": month.number - 0.5 + (place + 0.5) / len(month.alerts),
            "alerts": item.alerts,
            "frauds": item.frauds,
            "words": f"{item.day:%d %B %Y}: {item.alerts:,} alerts, {item.frauds:,} of them frauds",
        }
        for month in year.months
        for place, item in enumerate(month.alerts)
    ]
    highest = max((int(str(day["alerts"])) for day in days), default=0)
    y = {"type": "quantitative", "axis": {"title": None, "tickCount": 3, "tickMinStep": 1}, "scale": {"nice": 3}}
    return Chart(
        name="alerts",
        title="Alerts per day, and how many of them are frauds",
        description=(
            f"{sum(item.alerts for month in year.months for item in month.alerts):,} alerts on {len(days)} days, "
            f"at most {highest:,} on one day; "
            f"{sum(item.frauds for month in year.months for item in month.alerts):,} of them were frauds."
        ),
        data=days,
        encoding={"x": _months(year, "month")},
        layers=[
            {
                "mark": {"type": "area", "interpolate": "step-after"},
                "encoding": {
                    "y": y | {"field": field},
                    "color": {
                        "datum": name,
                        "scale": {"domain": ["false alarms", "frauds"], "range": ["var(--alert)", "var(--fraud)"]},
                    },
                },
            }
            for field, name in (("alerts", "false alarms"), ("frauds", "frauds"))
        ],
        details=[details_on_hover(y | {"field": "alerts"}, x=_months(year, "middle"))],
        height=160,
    )


def precision(year: PlayedYear) -> Chart:
    """Precision by month with its 95 % interval."""
    points = [
        {"month": month.number} | _interval(figure, f"Month {month.number}: precision")
        for month in year.months
        if (figure := year_data.precision(month.with_retraining)).value is not None
    ]
    y = {"field": "value", "type": "quantitative", "scale": _SHARE_SCALE, "axis": _SHARE_AXIS | {"values": [0, 0.5, 1]}}
    last = _words(year_data.precision(year.months[-1].with_retraining))
    return Chart(
        name="precision",
        title="Precision by month: the share of the alerts that are frauds",
        description=f"In month {year.months[-1].number} precision is {last}. The table of recall has every month.",
        data=points,
        encoding={"x": _months(year, "month"), "color": {"value": "var(--with)"}},
        layers=[
            {
                "mark": {"type": "rule", "strokeWidth": 1.5},
                "encoding": {"y": y | {"field": "low"}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "point", "filled": True, "opacity": 1, "size": 60}, "encoding": {"y": y}},
        ],
        details=[details_on_hover(y)],
        height=90,
    )


def serving(year: PlayedYear) -> Chart:
    """Which approval served when, one bar for each deployment."""
    last_day = year.months[-1].end
    bars = [
        {
            "row": f"{place}",
            "approval": f"{item.approval:04d}",
            "from": max(0.5, _position(year, item.start.date())),
            "to": _position(year, item.end.date() if item.end else last_day),
            "words": f"{item.approval:04d}: {item.start:%d %B %Y} to {item.end or last_day:%d %B %Y}",
        }
        for place, item in enumerate(year.deployments)
    ]
    names = [bar["approval"] for bar in bars]
    return Chart(
        name="serving",
        title="What served when",
        description=" ".join(
            f"Model {item.approval:04d} served from {item.start.day} {item.start:%B %Y} on, approved by "
            f"{item.approver}."
            for item in year.deployments
        )
        or "Nothing served.",
        data=bars,
        encoding={
            "x": _months(year, "from"),
            "y": {
                "field": "row",
                "type": "nominal",
                "sort": None,
                "axis": {"title": None, "labelColor": "var(--ink)", "labelExpr": f"{names}[toNumber(datum.value)]"},
            },
            "tooltip": {"field": "words"},
        },
        layers=[
            {
                "mark": {"type": "bar", "cornerRadius": 3, "height": {"band": 0.75}, "color": "var(--with)"},
                "encoding": {"x2": {"field": "to"}},
            }
        ],
        height={"step": 34},
    )


def approvals_of_requests(year: PlayedYear) -> list[Deployment]:
    """The deployments that a retrain request led to and that began within the year."""
    approvals = {retrain.approval for retrain in year.retrains}
    first, end = year.months[0].start, year.months[-1].end
    return [item for item in year.deployments if item.approval in approvals and first <= item.start.date() < end]


def _months(year: PlayedYear, field: str) -> dict[str, Any]:
    """An axis of months: month 1 reaches from 0.5 to 1.5, and as many months are numbered as have room."""
    count = len(year.months)
    step = max(1, math.ceil(count * _LABEL_WIDTH / (NARROW - 60)))
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": [0.5, count + 0.5], "nice": False},
        "axis": {"title": "month of the year", "values": list(range(1, count + 1, step)), "format": "d"},
    }


def _position(year: PlayedYear, day: date) -> float:
    """A day on the axis of months; a day outside the year is at its nearer end."""
    for month in year.months:
        if day < month.end:
            days = max(0, (day - month.start).days)
            return month.number - 0.5 + days / (month.end - month.start).days
    return len(year.months) + 0.5


def _gate(min_recall: float) -> list[Layer]:
    limit = {"datum": min_recall, "scale": _SHARE_SCALE}
    text = {"type": "text", "text": f"gate: {100 * min_recall:.0f} %", "align": "left", "dx": 4, "dy": -8, "x": 0}
    return [
        {
            "data": {"values": [{}]},
            "mark": mark,
            "encoding": {"x": None, "y": limit, "color": {"value": "var(--soft)"}},
        }
        for mark in ({"type": "rule", "strokeDash": [2, 4], "strokeWidth": 1.2}, text)
    ]


def _approval_marks(year: PlayedYear) -> list[Layer]:
    """A vertical line where a model that a retrain request led to began to serve, with the approval's number."""
    marks = [
        {
            "month": _position(year, item.start.date()),
            "name": f"{item.approval:04d}",
            "words": f"Approval {item.approval:04d} serves from {item.start:%d %B}",
        }
        for item in approvals_of_requests(year)
    ]
    shared = {"x": _months(year, "month"), "color": {"value": "var(--mark)"}, "tooltip": {"field": "words"}}
    name = {"type": "text", "fontWeight": "bold", "y": 0, "dy": -8, "baseline": "bottom"}
    return [
        {"data": {"values": marks}, "mark": {"type": "rule", "strokeWidth": 2}, "encoding": shared},
        {"data": {"values": marks}, "mark": name, "encoding": shared | {"text": {"field": "name"}}},
    ]


def _interval(figure: Estimate, name: str) -> dict[str, Any]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "words": f"{name} {_words(figure)}"}


def _words(figure: Estimate) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return f"not defined ({figure.reason})"
    value, low, high = (_percent(each) for each in (figure.value, figure.low, figure.high))
    return f"{value} % ({low} to {high} %, {figure.count} of {figure.of})"


def _percent(share: float) -> str:
    """With one decimal; only all is 100."""
    if share == 1:
        return "100"
    return f"{100 * share:.1f}" if share < _NEARLY_ALL else "more than 99.9"
