"""Scenarios of the simulated year: which drift, outages and label delays occur, and when. One YAML file each.

Unknown keys are rejected, as in model-config/. A scenario never says how the system should respond. The seed and the
number of rows are arguments of the simulation.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from ml import config
from ml.errors import ConfigError
from ml.simulate.stand_in_data import StandIn, months_later

FOLDER = Path(__file__).with_name("scenarios")
DEFAULT = "both"

Month = Annotated[int, Field(ge=1, le=120)]
Day = Annotated[int, Field(ge=1, le=31)]


class Course(config.File):
    """The course of a change: the factor of its `size` in each month.

    `growing`: 1 in `from_month`, then one more each month; `sudden`: 1 from `from_month` on; `gradual`: linear to 1
    over `over_months`; `recurring`: 1 for `over_months`, 0 for as many, and so on. After `until_month` (inclusive,
    null = never) it is 0.
    """

    kind: Literal["growing", "sudden", "gradual", "recurring"]
    from_month: Month
    until_month: Month | None = None
    over_months: Month | None = None

    @model_validator(mode="after")
    def _holds(self) -> Course:
        if self.until_month is not None and self.until_month < self.from_month:
            raise ValueError(f"must not end before it begins (got month {self.from_month} to {self.until_month})")
        if (self.over_months is None) == (self.kind in ("gradual", "recurring")):
            needs = "needs" if self.over_months is None else "takes no"
            raise ValueError(f"{self.kind} {needs} over_months")
        return self

    def at(self, month: int) -> float:
        """The factor in `month` (1 is the first of the year); 0 means no change."""
        if month < self.from_month or (self.until_month is not None and month > self.until_month):
            return 0.0
        begun = month - self.from_month + 1
        if self.kind == "growing":
            return float(begun)
        if self.kind == "gradual":
            return min(1.0, begun / (self.over_months or 1))
        if self.kind == "recurring":
            return float((begun - 1) // (self.over_months or 1) % 2 == 0)
        return 1.0


class DataDrift(config.File):
    """A shift of feature means in all rows, by `size` standard deviations of the feature at factor 1.

    `features` are names of the stand-in's numbers, or `all` of them but the amount; the seed decides the direction of
    each.
    """

    course: Course
    size: Annotated[float, Field(gt=0, le=5)]
    features: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1), config.AsTuple]

    def names(self, movable: tuple[str, ...]) -> tuple[str, ...]:
        """The features that shift, of those that may."""
        return movable if self.features == "all" else tuple(self.features)


class Interval(config.File):
    """Rows whose value of `feature` is `at_least` or more and `below` a limit; one of the two may be left out."""

    feature: str
    at_least: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _holds(self) -> Interval:
        if self.at_least is None and self.below is None:
            raise ValueError(f"must have at_least, below or both for {self.feature}, or every row is meant")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise ValueError(f"must have at_least less than below (got {self.at_least:g} and {self.below:g})")
        return self

    def contains(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which of `values` lie in the interval."""
        array = np.asarray(values, dtype=np.float64)
        low, high = self.at_least, self.below
        inside: NDArray[np.bool_] = array >= (-math.inf if low is None else low)
        return inside & (array < (math.inf if high is None else high))


class ConceptDrift(config.File):
    """Legitimate transactions that become frauds: `flipped_share` at random of those in a region.

    The region is the month's `top_share` by amount, or the rows that lie in every interval of `region`; these are in
    units of the features, after data drift.
    """

    course: Course
    top_share: Annotated[float, Field(gt=0, le=1)] | None = None
    region: Annotated[tuple[Interval, ...], Field(min_length=1), config.AsTuple] | None = None
    flipped_share: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _one_region(self) -> ConceptDrift:
        if (self.top_share is None) == (self.region is None):
            raise ValueError("must have either top_share or region")
        return self


class Volume(config.File):
    """Seasonal volume: a cosine of the year with amplitude `seasonal_swing`.

    Month `peak_month` has (1 + swing) times the average rows, the month half a year away (1 - swing) times.
    """

    seasonal_swing: Annotated[float, Field(ge=0, lt=1)]
    peak_month: Annotated[int, Field(ge=1, le=12)]

    def at(self, month: int) -> float:
        """The factor in `month`."""
        return 1 + self.seasonal_swing * math.cos(2 * math.pi * (month - self.peak_month) / 12)


class _Delay(config.File):
    """A delay in days: exponential with mean `typical_delay_days`, truncated at `longest_delay_days`."""

    typical_delay_days: Annotated[float, Field(gt=0, le=180)]
    longest_delay_days: Annotated[int, Field(ge=1, le=180)]

    def delay_days(self, chance: ArrayLike) -> NDArray[np.float64]:
        """The quantile function of the delays: delays in days for probabilities `chance` from 0 to 1."""
        mean, longest = self.typical_delay_days, self.longest_delay_days
        reached = -np.expm1(-longest / mean)
        days: NDArray[np.float64] = -mean * np.log1p(-reached * np.asarray(chance, dtype=np.float64))
        return days


class Analysts(_Delay):
    """Findings of analysts: the true label of each alert, and of no other row, after a delay of their own."""


class Labels(_Delay):
    """Labels of the chargeback channel, and whether analysts label alerts beside it.

    Frauds and legitimate transactions have the same delays.
    `frauds_first_legitimate` of the frauds, and `legitimate_first_fraud` of the others, are first known by the wrong
    label, and by the right one later, within the same delay.
    """

    frauds_first_legitimate: config.Share
    legitimate_first_fraud: config.Share
    analysts: Analysts | None = None
    chargebacks: bool = True
    """Whether the year has this channel; if not, its only labels are the findings of analysts."""

    @model_validator(mode="after")
    def _some_channel(self) -> Labels:
        if not self.chargebacks and self.analysts is None:
            raise ValueError("must have analysts if chargebacks is false, or the year has no label")
        return self


class Outage(config.File):
    """Days whose traffic is served but not captured."""

    month: Month
    first_day: Day
    days: Day


class History(config.File):
    """The labelled transactions in the data lake before the year."""

    rows: Annotated[int, Field(ge=1_000, le=100_000_000)]
    months: Annotated[int, Field(ge=1, le=60)]


class Scenario(config.File):
    """One file below scenarios/: everything of a year except the seed and the number of rows."""

    title: config.Text
    about: config.Text
    first_day: date
    fraud_share: config.OpenShare
    history: History
    data_drift: Annotated[tuple[DataDrift, ...], config.AsTuple]
    concept_drift: Annotated[tuple[ConceptDrift, ...], config.AsTuple]
    volume: Volume
    labels: Labels
    outages: Annotated[tuple[Outage, ...], config.AsTuple]

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        if self.first_day.day != 1:
            raise ValueError(f"must have first_day be the first of a month (got {self.first_day})")
        for outage in self.outages:
            first, end = (months_later(self.first_day, outage.month + more) for more in (-1, 0))
            if outage.first_day > (end - first).days:
                got = f"day {outage.first_day} of month {outage.month}, {first:%B %Y}"
                raise ValueError(f"must have outages begin on a day of their month (got {got})")
        return self

    @property
    def onset(self) -> int | None:
        """The first month with data or concept drift; None without drift."""
        courses = [*(drift.course for drift in self.data_drift), *(drift.course for drift in self.concept_drift)]
        return min((course.from_month for course in courses), default=None)


def names() -> tuple[str, ...]:
    """The scenarios that come with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(scenario: str, standin: StandIn | None = None) -> Scenario:
    """The scenario of that name, or of a file whose path ends in .yaml.

    Args:
        scenario: a name, or a path.
        standin: draws the traffic; None = the stand-in of the profile that ships.

    Raises:
        ConfigError: it does not exist, a field is missing, unknown or out of range, or the stand-in has not the columns
            that it names.
    """
    own = scenario.endswith((".yaml", ".yml"))
    path = Path(scenario) if own else FOLDER / f"{scenario}.yaml"
    if not own and scenario not in names():
        raise ConfigError(
            f"scenario must be one of {', '.join(names())}, or a path that ends in .yaml (got {scenario!r})"
        )
    if own and not path.is_file():
        raise ConfigError(f"scenario {scenario}: no such file; give a path, or one of {', '.join(names())}")
    found = config.read(path.parent, Path(path.name), Scenario)
    problems = _of_other_columns(found, StandIn.load() if standin is None else standin)
    if problems:
        raise ConfigError("; ".join(f"{path.name}: {problem}" for problem in problems))
    return found


def _of_other_columns(scenario: Scenario, standin: StandIn) -> list[str]:
    """The fields of `scenario` that need columns which the stand-in has not."""
    movable, problems = standin.movable, []
    among = f"must name features among {movable[0]} … {movable[-1]}" if movable else "has no feature to name"
    for place, drift in enumerate(scenario.data_drift):
        unknown = sorted(set(drift.names(movable)) - set(movable))
        if unknown:
            problems.append(f"data_drift.{place}.features {among} (got {', '.join(unknown)})")
    for place, change in enumerate(scenario.concept_drift):
        if change.top_share is not None and standin.amount is None:
            problems.append(f"concept_drift.{place}.top_share needs an amount, which the profile has not; use a region")
        for part, interval in enumerate(change.region or ()):
            if interval.feature not in movable:
                problems.append(f"concept_drift.{place}.region.{part}.feature {among} (got {interval.feature})")
    return problems
