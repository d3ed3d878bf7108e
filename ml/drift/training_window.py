"""Chooses the training window of a retrain request, so that it holds enough labelled frauds for the gate.

It begins where the drift began and ends with the last day whose labels are mature: every later row is of the new world
too, and few frauds make a threshold that does not hold.
For concept drift nothing older may get in: it teaches what is no longer so. Otherwise it grows backwards by whole days
until the part that models are tested on has the frauds that the gate asks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from ml import config
from ml.aws.labels import coverage
from ml.aws.labels.coverage import DayCount

_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A window of event time, and what it holds that can be learned from."""

    start: datetime
    end: datetime
    rows: int
    """Labelled ones."""
    frauds: int
    test_frauds: int
    """Of those, the ones that the later rows will be tested on: at least so many."""
    grown_days: int
    """By how many days it begins before the onset."""


@dataclass(frozen=True, kw_only=True)
class Short:
    """Why there is no such stretch yet, in words that follow `held back:`."""

    reason: str


def choose(
    bucket: str,
    *,
    onset: datetime,
    end: datetime,
    grows: bool,
    as_of: datetime,
    settings: config.ModelFile,
    gate: config.GateFile,
    labels: config.DriftFile,
) -> Stretch | Short:
    """The stretch for drift that began at `onset`.

    Args:
        end: of the days that may be in it, mature or not.
        grows: whether days before the onset may be added.

    Raises:
        CloudError, DataError: the lake cannot be read.
    """
    days = coverage.by_day(bucket, onset, end, as_of=as_of)
    if not days:
        return Short(reason=f"the lake holds no transaction from {_day(onset)} to {_day(end)}; import them")
    ripe = _mature(days, as_of, labels)
    if not ripe:
        return Short(
            reason=f"labels from {_day(onset)} on are not mature yet ({sum(day.labelled for day in days):,} of "
            f"{sum(day.rows for day in days):,} transactions of the lake have one)"
        )
    last = _midnight(ripe[-1].day) + _DAY
    last = end if len(ripe) == len(days) else min(last, end)
    start, chosen = onset, ripe
    oldest = coverage.first_event(bucket) if grows else None
    while not _enough(chosen, settings, gate) and oldest is not None and oldest < start:
        # Twice as far each time: a lake of years is read a few times, not day by day.
        reach = max(_midnight(oldest.date()), start - max(_DAY, last - start))
        older = coverage.by_day(bucket, reach, start, as_of=as_of)
        start, chosen = _shortest(older, reach, chosen, settings, gate)
    if not _enough(chosen, settings, gate):
        found = _parts(chosen, settings)
        return Short(
            reason=f"{sum(day.frauds for day in chosen):,} frauds are labelled from {_day(start)} to {_day(last)}, of "
            f"which {found[2]:,} would be tested on, and the gate asks for {gate.min_positives}"
        )
    return Stretch(
        start=start,
        end=last,
        rows=sum(day.labelled for day in chosen),
        frauds=sum(day.frauds for day in chosen),
        test_frauds=_parts(chosen, settings)[2],
        grown_days=max(0, math.ceil((onset - start) / _DAY)),
    )


def _mature(days: Sequence[DayCount], as_of: datetime, labels: config.DriftFile) -> list[DayCount]:
    """The days up to the first whose labels have not all come, or are too young."""
    limits, ripe = labels.labels, []
    for day in days:
        age = as_of - _midnight(day.day) - _DAY
        if day.labelled / day.rows < limits.min_coverage or age < timedelta(days=limits.min_age_days):
            break
        ripe.append(day)
    return ripe


def _shortest(
    older: Sequence[DayCount],
    reach: datetime,
    chosen: list[DayCount],
    settings: config.ModelFile,
    gate: config.GateFile,
) -> tuple[datetime, list[DayCount]]:
    """As few of the `older` days before `chosen` as make it enough; all of them, from `reach`, where none do."""
    for place in range(len(older) - 1, -1, -1):
        grown = [*older[place:], *chosen]
        if _enough(grown, settings, gate):
            return max(reach, _midnight(older[place].day)), grown
    return reach, [*older, *chosen]


def _enough(days: Sequence[DayCount], settings: config.ModelFile, gate: config.GateFile) -> bool:
    """Whether a model could be fitted on, have its threshold from, and be tested on its parts of these days."""
    train, validation, test = _parts(days, settings)
    return train > settings.resampling.neighbours and validation >= 1 and test >= gate.min_positives


def _parts(days: Sequence[DayCount], settings: config.ModelFile) -> tuple[int, int, int]:
    """Frauds in each part of the split, at least: of a day that is cut, each side is taken to have its share."""
    total = sum(day.labelled for day in days)
    shares = settings.split.train, settings.split.validation, settings.split.test
    cuts, found = [0.0, shares[0] * total, (shares[0] + shares[1]) * total, float(total)], [0.0, 0.0, 0.0]
    passed = 0
    for day in days:
        for part in range(3):
            inside = min(passed + day.labelled, cuts[part + 1]) - max(passed, cuts[part])
            if inside > 0:
                whole = inside >= day.labelled
                found[part] += day.frauds if whole else math.floor(day.frauds * inside / day.labelled)
        passed += day.labelled
    return int(found[0]), int(found[1]), int(found[2])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
