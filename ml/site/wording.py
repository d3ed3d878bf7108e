"""Formats figures, times and rates for the pages, with units and as many digits as matter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ml.gitops import gate_words

_TINY = re.compile(r"\bp (?:= ?)?(?:0(?:\.0{3}\d*)?|\d(?:\.\d+)?e-(?:0[4-9]|[1-9]\d+))(?![\d.]*\d)")
_OPENING_CHARACTERS = 160
_NEARLY_ALL = 99.95
"""In percent: from here on a share that is not all would be shown as all. The other formats of shares say the same."""


def moment(value: datetime) -> str:
    """A time to the minute, e.g. `3 March 2026, 06:10 UTC`."""
    at = value.astimezone(UTC)
    return f"{day(at)}, {at:%H:%M} UTC"


def day(value: datetime) -> str:
    """A day, e.g. `3 March 2026`."""
    at = value.astimezone(UTC)
    return f"{at.day} {at:%B %Y}"


def span(start: datetime, end: datetime) -> str:
    """A window whose end is excluded, e.g. `1 to 31 March 2026`; with hours if its ends are no midnights."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    if any((each.hour, each.minute, each.second) != (0, 0, 0) for each in (first, last)):
        return f"{moment(first)} to {moment(last)}"
    last = datetime.fromtimestamp(last.timestamp() - 1, UTC)
    if (first.year, first.month) == (last.year, last.month):
        return day(first) if first.day == last.day else f"{first.day} to {day(last)}"
    return f"{day(first)} to {day(last)}"


def percent(share: float) -> str:
    """A share in percent with three significant digits, e.g. `0.83 %`; only all is `100 %`, and only nothing `0 %`."""
    if _NEARLY_ALL <= 100 * share < 100:
        return "more than 99.9 %"
    return f"{float(f'{100 * share:.3g}'):g} %"


def share(figure: Mapping[str, Any]) -> str:
    """A rate in percent with its interval, e.g. `95.1 % (91.7 to 97.2 %)`; its reason if it has no value."""
    if figure.get("value") is None:
        return f"not known: {figure.get('reason') or 'not measured'}"
    if figure.get("low") is None or figure.get("high") is None:
        return percent(figure["value"])
    return f"{percent(figure['value'])} ({percent(figure['low'])[:-2]} to {percent(figure['high'])})"


def decimal(figure: Mapping[str, Any]) -> str:
    """A figure between 0 and 1 with its interval, e.g. `0.956 (0.880 to 1.000)`."""
    if figure.get("value") is None:
        return f"not known: {figure.get('reason') or 'not measured'}"
    if figure.get("low") is None or figure.get("high") is None:
        return f"{figure['value']:.3f}"
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def difference(compared: Mapping[str, Any]) -> str:
    """A difference with its interval, e.g. `+0.030 (−0.010 to +0.070, within chance)`."""
    value, low, high = (f"{compared[name]:+.3f}".replace("-", "−") for name in ("difference", "low", "high"))
    return f"{value} ({low} to {high}{_chance(compared)})"


def points(compared: Mapping[str, Any]) -> str:
    """A difference of two rates in percentage points with its interval, e.g. `+3 points (−1 to +7, within chance)`."""
    value, low, high = (f"{100 * compared[name]:+.3g}".replace("-", "−") for name in ("difference", "low", "high"))
    return f"{value} points ({low} to {high}{_chance(compared)})"


def _chance(compared: Mapping[str, Any]) -> str:
    return ", within chance" if compared["low"] <= 0 <= compared["high"] else ""


def rate(value: float) -> str:
    """A number per day, e.g. `7.3`, `120`."""
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


def readable(text: str, checks: Sequence[Mapping[str, Any]] = ()) -> str:
    """A text of a record with p-values below 0.001 as `p < 0.001`, and the gate's reasons in words, with its checks."""
    return gate_words.readable(_TINY.sub("p < 0.001", text), checks)


def opening(text: str) -> str:
    """The first words of a long text, with an ellipsis."""
    if len(text) <= _OPENING_CHARACTERS:
        return text
    return f"{text[:_OPENING_CHARACTERS].rsplit(' ', 1)[0].rstrip(',;:')} …"
