"""What happens in a simulated year: a file of its own for each scenario, read as strictly as model-config/.

A scenario says what changes and when, never how a system should answer it: whatever reads captured traffic and labels
must find out by itself. The seed and the number of rows come from whoever plays the year.
"""

from __future__ import annotations

import functools
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
    """How a change comes, as the part of its `size` that is there in a month.

    `growing`: as many sizes as months have begun since `from_month`, the first included; `sudden`: all of it at once;
    `gradual`: evenly more over `over_months`, then all of it; `recurring`: all of it for `over_months`, then none for
    as many, and so on. After `until_month` (the last month of it, null = never) nothing is left of it.
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
        """The factor in `month` (1 is the year's first): 0 where nothing has changed."""
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
    """Means of features that move, all rows alike: by `size` standard deviations of the feature at factor 1.

    `features` are names of the stand-in's, or `all` of V1 … V28; each moves up or down for good, as the seed has it.
    """

    course: Course
    size: Annotated[float, Field(gt=0, le=5)]
    features: Literal["all"] | Annotated[tuple[str, ...], Field(min_length=1), config.AsTuple]

    @model_validator(mode="after")
    def _known(self) -> DataDrift:
        unknown = sorted(set(self.features) - set(movable())) if self.features != "all" else []
        if unknown:
            raise ValueError(f"must name features among {movable()[0]} … {movable()[-1]} (got {', '.join(unknown)})")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The features that move."""
        return movable() if self.features == "all" else tuple(self.features)


class ConceptDrift(config.File):
    """Legitimate transactions that become frauds: of the month's `top_share` by amount, `flipped_share` at random."""

    course: Course
    top_share: Annotated[float, Field(gt=0, le=1)]
    flipped_share: Annotated[float, Field(gt=0, le=1)]


class Volume(config.File):
    """How the number of transactions goes up and down: by `seasonal_swing` of itself around the year.

    Month `peak_month` has (1 + swing) times the rows that were asked for, the one half a year away (1 - swing) times.
    """

    seasonal_swing: Annotated[float, Field(ge=0, lt=1)]
    peak_month: Annotated[int, Field(ge=1, le=12)]

    def at(self, month: int) -> float:
        """The factor in `month`."""
        return 1 + self.seasonal_swing * math.cos(2 * math.pi * (month - self.peak_month) / 12)


class Labels(config.File):
    """When labels are known: most of them after `typical_delay_days` or sooner, the last after `longest_delay_days`.

    Delays are exponential with that mean, cut off at the longest, alike for frauds and others.
    `frauds_first_legitimate` of the frauds, and `legitimate_first_fraud` of the others, are first known by the wrong
    label, and by the right one later, within the same delay.
    """

    typical_delay_days: Annotated[float, Field(gt=0, le=180)]
    longest_delay_days: Annotated[int, Field(ge=1, le=180)]
    frauds_first_legitimate: config.Share
    legitimate_first_fraud: config.Share

    def delay_days(self, chance: ArrayLike) -> NDArray[np.float64]:
        """The delays of labels whose place in the order of delays is `chance`, from 0 to 1."""
        mean, longest = self.typical_delay_days, self.longest_delay_days
        reached = -np.expm1(-longest / mean)
        days: NDArray[np.float64] = -mean * np.log1p(-reached * np.asarray(chance, dtype=np.float64))
        return days


class Outage(config.File):
    """Days of a month of whose traffic nothing is captured, although it is served."""

    month: Month
    first_day: Day
    days: Day


class History(config.File):
    """What is in the lake before the year: this many transactions over this many months, all labels known."""

    rows: Annotated[int, Field(ge=1_000, le=100_000_000)]
    months: Annotated[int, Field(ge=1, le=60)]


class Scenario(config.File):
    """One file below scenarios/: all that happens in a year, but for the seed and the number of rows."""

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
        """The first month in which anything but labels' delay, volume and capture differs from history."""
        courses = [*(drift.course for drift in self.data_drift), *(drift.course for drift in self.concept_drift)]
        return min((course.from_month for course in courses), default=None)


@functools.cache
def movable() -> tuple[str, ...]:
    """The features whose means a scenario may move: all of the stand-in's but the amount, which decides on flips."""
    standin = StandIn.load()
    return tuple(name for i, name in enumerate(standin.columns) if i != standin.amount)


def names() -> tuple[str, ...]:
    """The scenarios that come with the project."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(scenario: str) -> Scenario:
    """The scenario of that name, or of a file whose path ends in .yaml.

    Raises:
        ConfigError: there is none, or a field of it is missing, unknown or out of range.
    """
    own = scenario.endswith((".yaml", ".yml"))
    path = Path(scenario) if own else FOLDER / f"{scenario}.yaml"
    if not own and scenario not in names():
        raise ConfigError(
            f"scenario must be one of {', '.join(names())}, or a path that ends in .yaml (got {scenario!r})"
        )
    if own and not path.is_file():
        raise ConfigError(f"scenario {scenario}: no such file; give a path, or one of {', '.join(names())}")
    return config.read(path.parent, Path(path.name), Scenario)
