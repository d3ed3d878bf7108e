"""Captured traffic as it lies in the lake: which objects of which hours there are, before anything is read.

SageMaker writes `capture/<endpoint>/<variant>/yyyy/mm/dd/hh/<uuid>.jsonl`, by the hour in which a request was answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ml.aws import session

PREFIX = "capture"
HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What was captured of one endpoint in a window of whole hours."""

    objects: int
    bytes: int
    hours: int
    """Hours of the window."""
    hours_with_traffic: int


def listing(bucket: str, endpoint: str, start: datetime, end: datetime) -> Listing:
    """Counts what was captured from `start` (included) to `end` (not), both rounded outwards to whole hours.

    Lists every variant day by day, so that the cost is that of the window and not of all that was ever captured.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = max(0, -((first - end.astimezone(UTC)) // HOUR))
    last = first + hours * HOUR
    days = sorted({(first + index * HOUR).date() for index in range(hours)})
    objects = size = 0
    busy: set[datetime] = set()
    with session.explained(f"listing s3://{bucket}/{PREFIX}/{endpoint}/"):
        for variant in _variants(bucket, endpoint):
            for day in days:
                for key, length in _objects(bucket, f"{variant}{day:%Y/%m/%d}/"):
                    moment = _hour(key.removeprefix(variant))
                    if moment is not None and first <= moment < last:
                        objects, size = objects + 1, size + length
                        busy.add(moment)
    return Listing(objects=objects, bytes=size, hours=hours, hours_with_traffic=len(busy))


def _variants(bucket: str, endpoint: str) -> list[str]:
    """The prefix of each variant of the endpoint that was ever captured."""
    pages = (
        session.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=bucket, Prefix=f"{PREFIX}/{endpoint}/", Delimiter="/")
    )
    return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]


def _objects(bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    for page in session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from ((item["Key"], item["Size"]) for item in page.get("Contents", []))


def _hour(name: str) -> datetime | None:
    """The hour that `yyyy/mm/dd/hh/<uuid>.jsonl` lies in; None where it is no captured traffic."""
    try:
        return datetime.strptime(name.rpartition("/")[0], "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None
