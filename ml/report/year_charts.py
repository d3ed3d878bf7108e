"""The charts of a played year, drawn twice where a page needs them: for wide windows and for narrow ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from xml.etree.ElementTree import Element

import numpy as np

from ml.model.metrics import Estimate
from ml.report import year_data
from ml.report.svg import Drawing, Frame, is_safe
from ml.report.year_data import MonthPlayed, PlayedYear

WIDE, NARROW = 760, 358
LEVELS, FLOOR_AT = (0.3, 0.6, 1.0, 2.0, 4.0), 2
"""Where a heat map's colour changes, in times the floor, and which of the places is the floor itself."""
BANDS = (2, 5, 20, 75, 200)
"""Where the colour of a fraud rate changes, in times the usual rate."""
_SIDES = (("without_retraining", "without retraining"), ("with_retraining", "with retraining"))
_TICKS = [(share / 100, f"{share} %") for share in (0, 25, 50, 75, 100)]


def recall(year: PlayedYear, width: int) -> Drawing:
    """Recall by month with its 95 % interval in both years; what began to serve is marked and linked."""
    ends = {side: year_data.recall(getattr(year.months[-1], side)) for side, _ in _SIDES}
    drawing = Drawing(
        width,
        330,
        name=f"recall-{width}",
        title="Recall by month, with and without retraining",
        description=(
            f"In month {len(year.months)} recall is {_words(ends['with_retraining'])} with retraining and "
            f"{_words(ends['without_retraining'])} without. The table below has every month."
        ),
    )
    frame = Frame(left=54, top=46, width=width - 66, height=232, low=0, high=1, columns=len(year.months))
    drawing.grid(frame, _TICKS, [str(month.number) for month in year.months])
    drawing.text(frame.left + frame.width / 2, 318, "month of the year", "tick", "middle")
    limit = frame.y(year.min_recall)
    drawing.add("line", x1=frame.left, x2=frame.right, y1=limit, y2=limit, class_="limit")
    drawing.text(frame.left + 4, limit - 5, f"gate: {year.min_recall:.0%}", "tick")
    for side, words in _SIDES:
        _series(drawing, frame, year.months, side, words)
    for place, (side, words) in enumerate(reversed(_SIDES)):
        _key(drawing, frame.left + place * (150 if width < WIDE else 180), 18, side, words)
    _marks(drawing, frame, year)
    return drawing


def _series(drawing: Drawing, frame: Frame, months: Sequence[MonthPlayed], side: str, words: str) -> None:
    known = [(place, year_data.recall(getattr(month, side))) for place, month in enumerate(months)]
    points = [(frame.x(place), value) for place, value in known if value.value is not None]
    if not points:
        return
    upper = [(x, frame.y(value.high or 0)) for x, value in points]
    lower = [(x, frame.y(value.low or 0)) for x, value in points]
    drawing.area(upper, lower, f"band {side}")
    drawing.line([(x, frame.y(value.value or 0)) for x, value in points], f"line {side}")
    for place, value in known:
        if value.value is None:
            continue
        x, y = frame.x(place), frame.y(value.value)
        mark = _dot(drawing, x, y, side)
        drawing.add("title", f"Month {months[place].number} {words}: {_words(value)}", parent=mark)


def _dot(drawing: Drawing, x: float, y: float, side: str) -> Element:
    if side == "with_retraining":
        return drawing.add("circle", cx=x, cy=y, r=4, class_=f"dot {side}")
    return drawing.add("rect", x=x - 3.5, y=y - 3.5, width=7, height=7, class_=f"dot {side}")


def _key(drawing: Drawing, x: float, y: float, side: str, words: str) -> None:
    drawing.line([(x, y - 4), (x + 26, y - 4)], f"line {side}")
    _dot(drawing, x + 13, y - 4, side)
    drawing.text(x + 32, y, words, "key")


def _marks(drawing: Drawing, frame: Frame, year: PlayedYear) -> None:
    """A line where a model that came of a retrain request began to serve, with a link to its commit."""
    passed = {retrain.approval for retrain in year.retrains}
    for deployment in year.deployments:
        column = _column(year, deployment.start.date())
        if deployment.approval not in passed or column is None:
            continue
        x = round(frame.left + column * frame.width / len(year.months), 1)
        parent = drawing.root
        if deployment.link and is_safe(deployment.link):
            words = f"Approval {deployment.approval:04d}, commit {deployment.commit[:7]}"
            parent = drawing.add("a", href=deployment.link, aria_label=words)
            drawing.root.set("role", "group")  # what is in an img is told to nobody, links neither
        drawing.add("line", parent=parent, x1=x, x2=x, y1=frame.top - 8, y2=frame.bottom, class_="mark")
        name = drawing.add(
            "text", f"{deployment.approval:04d}", parent=parent, x=x, y=frame.top - 12, class_="mark-name"
        )
        name.set("text-anchor", "middle")
        drawing.add("title", f"Approval {deployment.approval:04d} serves from {deployment.start:%d %B}", parent=parent)


def _column(year: PlayedYear, day: date) -> float | None:
    """Where a day lies, in months from the year's beginning; None outside the year."""
    for place, month in enumerate(year.months):
        if month.start <= day < month.end:
            return place + (day - month.start).days / (month.end - month.start).days
    return None


def alerts(year: PlayedYear, width: int) -> Drawing:
    """Alerts per day, the frauds among them darker, and the months' precision below."""
    days = [day for month in year.months for day in month.alerts]
    most = max([1, *(day.alerts for day in days)])
    drawing = Drawing(
        width,
        360,
        name=f"alerts-{width}",
        title="Alerts per day, and the share of them that are frauds",
        description=(
            f"{sum(day.alerts for day in days):,} alerts on {len(days)} days, at most {most:,} on one day; "
            f"{sum(day.frauds for day in days):,} of them were frauds."
        ),
    )
    top = _round_up(most)
    frame = Frame(left=54, top=34, width=width - 66, height=160, low=0, high=top, columns=max(1, len(days)))
    drawing.grid(frame, [(0, "0"), (top / 2, f"{top / 2:g}"), (top, f"{top:g}")], [])
    bar = max(0.5, frame.width / max(1, len(days)) * 0.85)
    for class_, heights in (("bar", [day.alerts for day in days]), ("bar frauds", [day.frauds for day in days])):
        steps = [
            f"M{frame.x(place) - bar / 2:.1f},{frame.bottom}V{frame.y(height)}h{bar:.2f}V{frame.bottom}z"
            for place, height in enumerate(heights)
            if height
        ]
        drawing.add("path", d="".join(steps), class_=class_)
    for place, (class_, words) in enumerate((("bar", "false alarms"), ("bar frauds", "frauds"))):
        x = frame.left + place * 130
        drawing.add("rect", x=x, y=8, width=12, height=12, class_=class_)
        drawing.text(x + 18, 18, words, "key")
    shares = Frame(left=54, top=232, width=width - 66, height=80, low=0, high=1, columns=len(year.months))
    drawing.text(shares.left, 224, "precision: share of the alerts that are frauds", "key")
    drawing.grid(shares, [(0, "0 %"), (0.5, "50 %"), (1, "100 %")], [str(month.number) for month in year.months])
    drawing.text(shares.left + shares.width / 2, 350, "month of the year", "tick", "middle")
    figures = [year_data.precision(month.with_retraining) for month in year.months]
    for place, figure in enumerate(figures):
        if figure.value is None or figure.low is None or figure.high is None:
            continue
        x = shares.x(place)
        drawing.add("line", x1=x, x2=x, y1=shares.y(figure.low), y2=shares.y(figure.high), class_="whisker")
        dot = drawing.add("circle", cx=x, cy=shares.y(figure.value), r=4, class_="dot with_retraining")
        drawing.add("title", f"Month {year.months[place].number}: precision {_words(figure)}", parent=dot)
    return drawing


def serving(year: PlayedYear, width: int) -> Drawing:
    """Which approval served when, a bar for each."""
    count = len(year.deployments)
    drawing = Drawing(
        width,
        44 + 34 * max(1, count),
        name=f"serving-{width}",
        title="What served when",
        description="; ".join(
            f"approval {item.approval:04d} from {item.start:%d %B %Y}, approved by {item.approver}"
            for item in year.deployments
        )
        or "Nothing served.",
    )
    frame = Frame(
        left=54, top=8, width=width - 66, height=34.0 * max(1, count), low=0, high=1, columns=len(year.months)
    )
    drawing.grid(frame, [], [str(month.number) for month in year.months])
    start, end = year.months[0].start, year.months[-1].end
    for place, item in enumerate(year.deployments):
        first = max(0.0, (item.start.date() - start).days / (end - start).days)
        last = min(1.0, ((item.end.date() if item.end else end) - start).days / (end - start).days)
        y = frame.top + 34 * place
        x, length = round(frame.left + first * frame.width, 1), round(max(2.0, (last - first) * frame.width), 1)
        drawing.text(frame.left - 8, y + 20, f"{item.approval:04d}", "key", "end")
        bar = drawing.add("rect", x=x, y=y + 4, width=length, height=24, rx=3, class_="served")
        drawing.add("title", f"{item.approval:04d}: {item.start:%d %B %Y} to {item.end or end:%d %B %Y}", parent=bar)
    return drawing


def level(value: float, floor: float) -> int:
    """How dark a cell is, 0 to 5, by how many times the floor it is."""
    return int(np.searchsorted(np.array(LEVELS) * floor, value, side="right"))


def fraud_level(rate: float, usual: float) -> int:
    """How dark a cell of a fraud rate is, 0 to 5, by how many times the usual rate it is."""
    return int(np.searchsorted(BANDS, rate / usual if usual else 0.0, side="right"))


def _words(figure: Estimate) -> str:
    if figure.value is None or figure.low is None or figure.high is None:
        return f"not defined ({figure.reason})"
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%}, {figure.count} of {figure.of})"


def _round_up(most: int) -> float:
    """The next of 2, 3, 4, 6, 8, 10, 20, 30, 40 … that is not below `most`."""
    unit = 10.0 ** math.floor(math.log10(max(2, most)))
    return next(step * unit for step in (1, 2, 3, 4, 6, 8, 10) if step * unit >= max(2, most))
