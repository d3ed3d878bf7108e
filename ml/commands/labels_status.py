"""`fraudops labels status`: how many scored rows or transactions of each day have a label, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ml import clock, config
from ml.aws import platform_stack
from ml.aws.labels import daily_status
from ml.aws.labels.daily_status import DayStatus


@dataclass(frozen=True, kw_only=True)
class LabelStatus:
    """The labels of the latest days, the oldest day first. A day without rows is left out."""

    endpoint: str
    as_of: datetime
    min_coverage: float
    min_age_days: float
    mature: int
    """The number of days whose labels are mature."""
    days: tuple[DayStatus, ...]


def status(root: Path, *, days: int) -> LabelStatus:
    """Reads the labels of the latest `days` days, today included.

    Raises:
        ConfigError: production.yaml or drift.yaml below `root` is invalid.
        CloudError, DataError: the platform or its lake cannot be read.
    """
    endpoint, limits, now = config.load_serving(root).endpoint, config.load_drift(root).labels, clock.now()
    found = daily_status.by_day(
        platform_stack.read().bucket,
        endpoint,
        now.date() - timedelta(days=days - 1),
        now.date(),
        as_of=now,
        min_coverage=limits.min_coverage,
        min_age_days=limits.min_age_days,
    )
    return LabelStatus(
        endpoint=endpoint,
        as_of=now,
        min_coverage=limits.min_coverage,
        min_age_days=limits.min_age_days,
        mature=sum(day.mature for day in found),
        days=tuple(found),
    )
