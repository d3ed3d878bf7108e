"""Lists when traffic was captured, by hour, without reading it.

`ml.aws.capture.reader` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ml.aws import session
from ml.aws.capture import object_listing as objects
from ml.aws.capture.object_listing import HOUR, PREFIX


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Count and size of the captured objects of one endpoint in a window of whole hours."""

    objects: int
    bytes: int
    hours: int
    """Hours of the window."""
    hours_with_traffic: int


def listing(bucket: str, endpoint: str, start: datetime, end: datetime) -> Listing:
    """Counts what was captured from `start` (included) to `end` (not), both rounded outwards to whole hours.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    first = objects.hour_of(start)
    hours = max(0, -((first - end.astimezone(UTC)) // HOUR))
    count = size = 0
    busy: set[datetime] = set()
    for item in objects.within(bucket, endpoint, first, first + hours * HOUR):
        count, size = count + 1, size + item.bytes
        busy.add(item.hour)
    return Listing(objects=count, bytes=size, hours=hours, hours_with_traffic=len(busy))


def last_traffic(bucket: str, endpoint: str, before: datetime) -> datetime | None:
    """The latest hour, not after `before`, with captured traffic of the endpoint; None if there is none.

    An hour with smoke tests only counts too: telling them apart would need reading.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    latest: datetime | None = None
    with session.explained(f"listing s3://{bucket}/{PREFIX}/{endpoint}/"):
        for variant in objects.variants(bucket, endpoint):
            found = _latest(bucket, variant, variant, before.astimezone(UTC))
            latest = max(filter(None, (latest, found)), default=None)
    return latest


def _latest(bucket: str, variant: str, prefix: str, before: datetime) -> datetime | None:
    """Descends from years to hours, newest first, so that it lists a few folders and not every object."""
    for folder in reversed(objects.folders(bucket, prefix)):
        depth = folder.removeprefix(variant).count("/")
        if depth > 4:
            return None
        if depth == 4:
            hour = objects.filed_under(folder.removeprefix(variant))
            if hour is not None and hour <= before:
                return hour
        elif (found := _latest(bucket, variant, folder, before)) is not None:
            return found
    return None
