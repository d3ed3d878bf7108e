"""Chooses the training window of a retrain request, so that it holds enough labelled frauds for the gate.

The window starts at the onset of the drift and ends with the last day whose labels are mature. For concept drift it
never contains older rows, because their labels follow the former concept. For other causes it grows backwards by whole
days until the test part has the number of frauds that the gate requires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from ml import clock, config
from ml.aws.labels import coverage
from ml.aws.labels.coverage import DayCount
from ml.console import stage
from ml.drift.drift_case import DriftCase
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow

_DAY = timedelta(days=1)


def for_case(
    bucket: str, case: DriftCase, *, settings: config.ModelFile, gate: config.GateFile, rules: config.DriftFile
) -> TrainingWindow | NotEnoughLabels:
    """The training window of a drift decision, from its onset to the last day that has ended.

    Raises:
        CloudError, DataError: the data lake cannot be read.
    """
    assert case.decision.onset is not None  # noqa: S101 - as in `DriftCase.kind`
    now = clock.now()
    with stage("counting labelled frauds to train on"):
        return choose(
            bucket,
            onset=case.decision.onset,
            end=now.replace(hour=0, minute=0, second=0, microsecond=0),
            grows=case.kind != "concept",
            as_of=now,
            settings=settings,
            gate=gate,
            labels=rules,
        )


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
) -> TrainingWindow | NotEnoughLabels:
    """The training window for drift that began at `onset`.

    Args:
        end: the upper bound of the window, whether labels are mature or not.
        grows: whether days before the onset may be added.

    Raises:
        CloudError, DataError: the data lake cannot be read.
    """
    days = coverage.by_day(bucket, onset, end, as_of=as_of)
    if not days:
        return NotEnoughLabels(reason=f"the lake holds no transaction from {_day(onset)} to {_day(end)}; import them")
    mature = _mature(days, as_of, labels)
    if not mature:
        return NotEnoughLabels(
            reason=f"labels from {_day(onset)} on are not mature yet ({sum(day.labelled for day in days):,} of "
            f"{sum(day.rows for day in days):,} transactions of the lake have one)"
        )
    last = _midnight(mature[-1].day) + _DAY
    last = end if len(mature) == len(days) else min(last, end)
    start, chosen = onset, mature
    oldest = coverage.first_event(bucket) if grows else None
    while not _enough(chosen, settings, gate) and oldest is not None and oldest < start:
        # Each step doubles the length: a data lake of several years is read a few times, not once per day.
        reach = max(_midnight(oldest.date()), start - max(_DAY, last - start))
        older = coverage.by_day(bucket, reach, start, as_of=as_of)
        start, chosen = _shortest(older, reach, chosen, settings, gate)
    if not _enough(chosen, settings, gate):
        test_frauds = _frauds_by_part(chosen, settings)[2]
        return NotEnoughLabels(
            reason=f"{sum(day.frauds for day in chosen):,} frauds are labelled from {_day(start)} to {_day(last)}, of "
            f"which {test_frauds:,} are in the test part; the gate requires {gate.min_positives}"
        )
    return TrainingWindow(
        start=start,
        end=last,
        rows=sum(day.labelled for day in chosen),
        frauds=sum(day.frauds for day in chosen),
        test_frauds=_frauds_by_part(chosen, settings)[2],
        grown_days=max(0, math.ceil((onset - start) / _DAY)),
    )


def _mature(days: Sequence[DayCount], as_of: datetime, labels: config.DriftFile) -> list[DayCount]:
    """The leading days whose label coverage and age reach the limits."""
    limits, mature = labels.labels, []
    for day in days:
        age = as_of - _midnight(day.day) - _DAY
        if day.labelled / day.rows < limits.min_coverage or age < timedelta(days=limits.min_age_days):
            break
        mature.append(day)
    return mature


def _shortest(
    older: Sequence[DayCount],
    reach: datetime,
    chosen: list[DayCount],
    settings: config.ModelFile,
    gate: config.GateFile,
) -> tuple[datetime, list[DayCount]]:
    """Prepends as few `older` days to `chosen` as are enough; all of them, from `reach`, if they are not enough."""
    for index in range(len(older) - 1, -1, -1):
        grown = [*older[index:], *chosen]
        if _enough(grown, settings, gate):
            return max(reach, _midnight(older[index].day)), grown
    return reach, [*older, *chosen]


def _enough(days: Sequence[DayCount], settings: config.ModelFile, gate: config.GateFile) -> bool:
    """Whether each part of the split has enough frauds: to fit a model, to choose its threshold, and to test it."""
    train, validation, test = _frauds_by_part(days, settings)
    return train > settings.resampling.neighbours and validation >= 1 and test >= gate.min_positives


def _frauds_by_part(days: Sequence[DayCount], settings: config.ModelFile) -> tuple[int, int, int]:
    """A lower bound of the frauds in train, validation and test. A day that is split counts by share, rounded down."""
    total = sum(day.labelled for day in days)
    shares = settings.split.train, settings.split.validation, settings.split.test
    cuts, frauds = [0.0, shares[0] * total, (shares[0] + shares[1]) * total, float(total)], [0.0, 0.0, 0.0]
    passed = 0
    for day in days:
        for part in range(3):
            inside = min(passed + day.labelled, cuts[part + 1]) - max(passed, cuts[part])
            if inside > 0:
                whole = inside >= day.labelled
                frauds[part] += day.frauds if whole else math.floor(day.frauds * inside / day.labelled)
        passed += day.labelled
    return int(frauds[0]), int(frauds[1]), int(frauds[2])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
