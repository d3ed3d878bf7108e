"""Defines the profile that stand-in data are drawn from: the figures of a data set by class, and no row of it.

The project ships the profile of the ULB card data (README.md in this folder). `fraudops data profile` makes one of the
transactions in the data lake.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ml import config
from ml.config import AsTuple, Column, File, Text
from ml.errors import ConfigError

SHIPPED = Path(__file__).with_name("profile.json")
HOURS = 24
QUANTILE_LEVELS = (
    *(0.0, 0.001, 0.005, 0.01, 0.025),
    *(place / 20 for place in range(1, 20)),
    *(0.975, 0.99, 0.995, 0.999, 1.0),
)
_Numbers = Annotated[tuple[float, ...], AsTuple]
_Names = Annotated[tuple[Column, ...], AsTuple]


class TimeLayout(File):
    """The time column, as in data.yaml."""

    column: Column
    unit: Literal["iso", "epoch_seconds", "epoch_milliseconds", "seconds_since_start"]


class Layout(File):
    """The names of the label, the amount and the time, as in data.yaml; null for an amount or a time that is not there.

    A drawn data set has no other columns than these, the profile's numbers and its text columns.
    """

    label: Column
    amount: Column | None
    time: TimeLayout | None


class FullSet(File):
    """The size of the whole data set; `seconds` is the time that it spans."""

    rows: Annotated[int, Field(ge=2)]
    frauds: Annotated[int, Field(ge=1)]
    fraud_rate: config.OpenShare
    seconds: Annotated[int, Field(ge=1)]


class Group(File):
    """One kind of transaction.

    `quantiles` has for each number its values at the profile's levels, `categories` for each text column the shares of
    its values; `rank_correlation` are Spearman's, in the order of the numbers. `share_of_class` is the group's share of
    the rows of its class, `rows_fitted` the number of rows behind the figures.
    """

    label: Literal[0, 1]
    share_of_class: Annotated[float, Field(gt=0, le=1)]
    rows_fitted: Annotated[int, Field(ge=1)]
    quantiles: dict[str, _Numbers]
    categories: dict[str, dict[str, config.Share]]
    rank_correlation: Annotated[tuple[_Numbers, ...], AsTuple]


class Profile(File):
    """The content of a profile file: `columns` are the numbers, `decimals` their digits after the point."""

    schema_version: Annotated[Literal[2], Field(alias="schema")]
    source: Text
    licence: Text | None
    layout: Layout
    columns: _Names
    decimals: dict[str, Annotated[int, Field(ge=0, le=12)]]
    categories: _Names
    quantile_levels: _Numbers
    full_set: FullSet
    hourly_counts: dict[Literal["0", "1"], _Numbers]
    groups: Annotated[tuple[Group, ...], AsTuple]

    @model_validator(mode="after")
    def _whole(self) -> Profile:
        levels = self.quantile_levels
        if len(levels) < 2 or levels[0] != 0 or levels[-1] != 1 or sorted(set(levels)) != list(levels):
            raise ValueError("must have quantile_levels that ascend from 0 to 1")
        if self.layout.amount is not None and self.layout.amount not in self.columns:
            raise ValueError(f"must have the amount {self.layout.amount} among the columns")
        if set(self.decimals) != set(self.columns):
            raise ValueError("must have decimals for each of the columns and for no other")
        for label, counts in self.hourly_counts.items():
            if len(counts) != HOURS or min(counts) < 0 or sum(counts) <= 0:
                raise ValueError(f"must have 24 hourly_counts of class {label}, some of them above 0")
        if set(self.hourly_counts) != {"0", "1"} or {group.label for group in self.groups} != {0, 1}:
            raise ValueError("must have hourly_counts and at least one group of each class, 0 and 1")
        for place, group in enumerate(self.groups):
            self._check_group(place, group)
        return self

    def _check_group(self, place: int, group: Group) -> None:
        where, levels, width = f"must have in groups.{place}", len(self.quantile_levels), len(self.columns)
        if set(group.quantiles) != set(self.columns) or any(len(row) != levels for row in group.quantiles.values()):
            raise ValueError(f"{where} {levels} quantiles of each of the columns and of no other")
        falling = [name for name, values in group.quantiles.items() if list(values) != sorted(values)]
        if falling:
            raise ValueError(f"{where} quantiles that do not fall (they do in {falling[0]})")
        if len(group.rank_correlation) != width or any(len(row) != width for row in group.rank_correlation):
            raise ValueError(f"{where} a rank_correlation of {width} rows and columns")
        self._check_correlation(where, group.rank_correlation)
        if set(group.categories) != set(self.categories) or any(
            not sum(row.values()) for row in group.categories.values()
        ):
            raise ValueError(f"{where} the shares of each of the categories and of no other, some of them above 0")

    def _check_correlation(self, where: str, matrix: tuple[_Numbers, ...]) -> None:
        for row, correlations in enumerate(matrix):
            for column, value in enumerate(correlations):
                pair = f"rank_correlation of {self.columns[row]} and {self.columns[column]}"
                if not -1 <= value <= 1:
                    raise ValueError(f"{where} a {pair} between -1 and 1 (got {value:g})")
                if value != matrix[column][row]:
                    raise ValueError(f"{where} the same {pair} both ways (got {value:g} and {matrix[column][row]:g})")


def read(path: Path = SHIPPED) -> Profile:
    """The profile in the JSON file `path`.

    Raises:
        ConfigError: there is no such file, or a field is missing, unknown or out of range.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); make a profile with `fraudops data profile`"
        ) from error
    return config.parse_json(content, path, Profile)
