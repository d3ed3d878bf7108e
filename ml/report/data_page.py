"""Renders a data set's page. Decides nothing; the page loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from jinja2 import Environment

from ml.model.metrics import Estimate
from ml.report import page_template
from ml.report.data_statistics import Bin, Column, Separability


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """What the page shows of a file.

    `faults` are the numbers of rows by kind of fault; those rows are in no other figure. `pictures` are PNGs with
    their captions. `amount` is None without an amount, and so is `binned`, the separability of its bins.
    """

    path: str
    rows: int
    frauds: Estimate
    start: str | None
    end: str | None
    faults: Mapping[str, int]
    duplicates: int
    columns: Sequence[Column]
    amount: str | None
    amounts: Sequence[Bin]
    binned: Separability | None
    hours: Sequence[Bin]
    categories: Mapping[str, Sequence[Bin]]
    correlated: Sequence[tuple[str, str, float]]
    pictures: Sequence[tuple[str, bytes]]

    @property
    def best(self) -> Column:
        """The column that separates the classes best."""
        return max(self.columns, key=lambda column: column.separability.strength)


def page(data: DataSet) -> str:
    """Renders the page; equal figures give equal bytes."""
    ordered = sorted(data.columns, key=lambda column: -column.separability.strength)
    pictures = [(caption, page_template.png_address(content)) for caption, content in data.pictures]
    return _environment().get_template("data.html").render(data=data, columns=ordered, pictures=pictures)


def figure(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def percent(estimate: Estimate) -> str:
    """A rate with its interval and counts; a dash if there are no rows."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{100 * estimate.value:.3g} % ({100 * estimate.low:.3g} to {100 * estimate.high:.3g})"


@cache
def _environment() -> Environment:
    return page_template.environment(figure=figure, percent=percent)
