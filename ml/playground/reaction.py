"""Measures how fast the loop of a simulated year reacted to the first concept drift. Knows every true label.

The alarm is the first day whose look found new frauds. The recovery is the roll-out of the first model that would have
found most frauds of the days after it, whether or not it still served then. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from ml import config
from ml.model.scorer import Scorer
from ml.playground.daily_look import Look
from ml.report.year_data import RECOVERED_DAYS, RECOVERED_RECALL, Deployment, Reaction
from ml.simulate.year_traffic import Year


def measure(
    year: Year, looks: Sequence[Look], deployments: Sequence[Deployment], *, months: int, root: Path
) -> Reaction:
    """The reaction of a year of which `months` months were played.

    Args:
        looks: every day's, in order.
        deployments: in order.
        root: the checkout with the approval records.
    """
    return between(year, looks, deployments, months=months, model=lambda approval: _model(root, approval))


def between(
    year: Year,
    looks: Sequence[Look],
    deployments: Sequence[Deployment],
    *,
    months: int,
    model: Callable[[int], Scorer],
) -> Reaction:
    """As `measure`; `model` gives the model of an approval."""
    onset, end = year.concept_onset(), year.span(months)[1].date()
    if onset is None or onset >= end:
        return Reaction(onset=None, alarm=None, recovery=None)
    begin = datetime.combine(onset, time(), UTC)
    alarms = (look.moment for look in looks if look.moment >= begin and look.concept and not look.ended)
    alarm = next(alarms, None)
    rolled_out = (item for item in deployments if item.start >= begin)
    recoveries = (_day(item.start) for item in rolled_out if _recovers(year, model(item.approval), item, end))
    return Reaction(onset=onset, alarm=_day(alarm) if alarm else None, recovery=next(recoveries, None))


def _recovers(year: Year, model: Scorer, deployment: Deployment, end: date) -> bool:
    """Whether the model's recall on the whole days after its roll-out is enough; False if the year has not so many."""
    days = [_day(deployment.start) + timedelta(days=1 + place) for place in range(RECOVERED_DAYS)]
    if days[-1] >= end:
        return False
    frauds = found = 0
    for day in map(year.day, days):
        rows = model.matrix(day.transactions.select(model.inputs).to_pandas())
        alerts, truth = model.decide(model.score(rows)) == 1, day.truth == 1
        frauds, found = frauds + int(truth.sum()), found + int((truth & alerts).sum())
    return found >= RECOVERED_RECALL * frauds > 0


def _model(root: Path, approval: int) -> Scorer:
    from ml.aws import s3_objects
    from ml.model import artifact

    record = config.load_approval(root, approval)
    return artifact.read(s3_objects.read(record.artifact.uri)).model


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
