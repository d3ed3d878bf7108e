"""Chooses the training window of a retrain request, so that it holds enough labelled frauds for the gate.

Each kind of run has its own window:

- `adapt`: from the onset of the drift, at most the latest `adapt_days`. Never older rows, because their labels follow
  the former concept. Labels need not be mature: a day counts if enough of its rows have one.
- `threshold`: the latest `threshold_days` with mature labels; more, but not before the onset, if the test part needs
  them.
- `drop`: its test part is the days since the pattern ended, as for `adapt`; its training part is as many days before
  them as the split asks for. It fits nothing, so rows from before the end only choose the threshold.
- `fit`: from the onset to the last day with mature labels. It grows backwards by whole days until the test part has the
  number of frauds that the gate requires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate

from ml import clock, config
from ml.aws.labels import coverage
from ml.aws.labels.coverage import DayCount
from ml.config.settings_files import TrainingWindowLimits
from ml.console import stage
from ml.drift.drift_case import DriftCase
from ml.drift.window_choice import NotEnoughLabels, TrainingWindow
from ml.model.run_kinds import ADAPT, DROP, FIT, THRESHOLD, RunKind

_DAY = timedelta(days=1)
_YOUNG = (ADAPT, DROP)
"""The kinds whose window ends with days that have enough labels, however young."""


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
            kind=case.run_kind,
            as_of=now,
            settings=settings,
            gate=gate,
            labels=rules,
        )


@dataclass(frozen=True, kw_only=True)
class _Needs:
    """The shares of the parts that Prepare makes, in order of time, and the frauds that each of them needs.

    A new threshold follows from legitimate rows. Its window is held to an adaptation's counts all the same: fewer
    frauds could not show that the change is supported. A run that drops a part needs none to train on.
    """

    shares: tuple[float, ...]
    frauds: tuple[int, ...]

    @classmethod
    def of(cls, kind: RunKind, settings: config.ModelFile, gate: config.GateFile) -> _Needs:
        """To fit a model, to choose its threshold if a part is for that alone, and to test it."""
        split, fitted = settings.split, settings.resampling.neighbours + 1
        if kind == FIT:
            shares = (split.train, split.validation, split.test)
            return cls(shares=shares, frauds=(fitted, 1, gate.min_positives))
        needed = 0 if kind == DROP else fitted
        return cls(shares=(split.train + split.validation, split.test), frauds=(needed, gate.min_positives))

    def are_met(self, days: Sequence[DayCount]) -> bool:
        """Whether each part of `days` has enough frauds."""
        return all(found >= needed for found, needed in zip(self.frauds_by_part(days), self.frauds, strict=True))

    def frauds_by_part(self, days: Sequence[DayCount]) -> list[int]:
        """A lower bound of the frauds in each part. Those of a day that is split may all be in its other part."""
        total = sum(day.labelled for day in days)
        cuts = [0.0, *(share * total for share in accumulate(self.shares[:-1])), float(total)]
        frauds, passed = [0] * len(self.shares), 0
        for day in days:
            for part in range(len(self.shares)):
                inside = min(passed + day.labelled, cuts[part + 1]) - max(passed, cuts[part])
                if inside >= day.labelled:
                    frauds[part] += day.frauds
            passed += day.labelled
        return frauds


def choose(
    bucket: str,
    *,
    onset: datetime,
    end: datetime,
    kind: RunKind,
    as_of: datetime,
    settings: config.ModelFile,
    gate: config.GateFile,
    labels: config.DriftFile,
) -> TrainingWindow | NotEnoughLabels:
    """The training window of a run of `kind` for drift that began at `onset`.

    Args:
        end: the upper bound of the window, whether labels are mature or not.
        labels: model-config/monitoring/drift.yaml.

    Raises:
        CloudError, DataError: the data lake cannot be read.
    """
    days = coverage.by_day(bucket, onset, end, as_of=as_of)
    if not days:
        return NotEnoughLabels(reason=f"the lake holds no transaction from {_day(onset)} to {_day(end)}; import them")
    usable = _usable(days, as_of, labels, kind)
    if not usable:
        words = "are too few yet" if kind in _YOUNG else "are not mature yet"
        return NotEnoughLabels(
            reason=f"labels from {_day(onset)} on {words} ({sum(day.labelled for day in days):,} of "
            f"{sum(day.rows for day in days):,} transactions of the lake have one)"
        )
    last = _midnight(usable[-1].day) + _DAY
    last = end if len(usable) == len(days) else min(last, end)
    needs = _Needs.of(kind, settings, gate)
    start, chosen = _latest(usable, onset, last, labels.training_window, kind)
    if kind == DROP:
        start, chosen = _with_days_before(bucket, onset, usable, needs, as_of)
    if kind == THRESHOLD and not needs.are_met(chosen):
        older = usable[: len(usable) - len(chosen)]
        start, chosen = _shortest(older, onset, chosen, needs)
    oldest = coverage.first_event(bucket) if kind == FIT else None
    while not needs.are_met(chosen) and oldest is not None and oldest < start:
        # Each step doubles the length: a data lake of several years is read a few times, not once per day.
        reach = max(_midnight(oldest.date()), start - max(_DAY, last - start))
        older = coverage.by_day(bucket, reach, start, as_of=as_of)
        start, chosen = _shortest(older, reach, chosen, needs)
    if not needs.are_met(chosen):
        test_frauds = needs.frauds_by_part(chosen)[-1]
        return NotEnoughLabels(
            reason=f"{sum(day.frauds for day in chosen):,} frauds are labelled from {_day(start)} to {_day(last)}, of "
            f"which {test_frauds:,} are in the test part; the gate requires {gate.min_positives}"
        )
    return TrainingWindow(
        start=start,
        end=last,
        rows=sum(day.labelled for day in chosen),
        frauds=sum(day.frauds for day in chosen),
        test_frauds=needs.frauds_by_part(chosen)[-1],
        grown_days=max(0, math.ceil((onset - start) / _DAY)),
    )


def _usable(days: Sequence[DayCount], as_of: datetime, labels: config.DriftFile, kind: RunKind) -> list[DayCount]:
    """The leading days whose label coverage and age reach the limits of the kind."""
    limits, usable = labels.labels, []
    young = kind in _YOUNG
    coverage_limit = labels.training_window.adapt_min_coverage if young else limits.min_coverage
    age_limit = timedelta(days=0 if young else limits.min_age_days)
    for day in days:
        age = as_of - _midnight(day.day) - _DAY
        if day.labelled / day.rows < coverage_limit or age < age_limit:
            break
        usable.append(day)
    return usable


def _latest(
    usable: Sequence[DayCount], onset: datetime, last: datetime, limits: TrainingWindowLimits, kind: RunKind
) -> tuple[datetime, list[DayCount]]:
    """The start of the window and its days: all from the onset for a fit, else the latest that the limits allow."""
    if kind == FIT:
        return onset, list(usable)
    start = max(onset, last - timedelta(days=limits.adapt_days if kind == ADAPT else limits.threshold_days))
    return start, [day for day in usable if _midnight(day.day) + _DAY > start]


def _with_days_before(
    bucket: str, onset: datetime, usable: list[DayCount], needs: _Needs, as_of: datetime
) -> tuple[datetime, list[DayCount]]:
    """Prepends days before `onset` so that the part before the test part is theirs, and the test part begins there.

    At most as many labelled rows as that part's share allows: with more, the test part would hold rows of theirs.
    """
    before, after = sum(needs.shares[:-1]), needs.shares[-1]
    room = before / after * sum(day.labelled for day in usable)
    reach = onset - math.ceil(before / after * len(usable)) * _DAY
    chosen = list(usable)
    for day in reversed(coverage.by_day(bucket, reach, onset, as_of=as_of)):
        room -= day.labelled
        if room < 0:
            break
        chosen.insert(0, day)
    return min(onset, _midnight(chosen[0].day)), chosen


def _shortest(
    older: Sequence[DayCount], reach: datetime, chosen: list[DayCount], needs: _Needs
) -> tuple[datetime, list[DayCount]]:
    """Prepends as few `older` days to `chosen` as are enough; all of them, from `reach`, if they are not enough."""
    for index in range(len(older) - 1, -1, -1):
        grown = [*older[index:], *chosen]
        if needs.are_met(grown):
            return max(reach, _midnight(older[index].day)), grown
    return reach, [*older, *chosen]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
