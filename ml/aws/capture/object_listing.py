"""Lists the S3 objects that may hold captured lines of a window, and measures their volume. Reads no object.

SageMaker writes `capture/<endpoint>/<variant>/yyyy/mm/dd/hh/<uuid>.jsonl`. The hour is that of some request in the
file: a request answered shortly before or after the hour may be in the neighbouring partition. So callers also list the
partitions next to a window, and select by the time of each request.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.aws import session
from ml.aws.capture.captured_lines import PREFIX, CapturedObject

HOUR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class CaptureVolume:
    """Volume of the captured traffic of one endpoint in a window of whole hours."""

    objects: int
    bytes: int
    hours: int
    """Hours of the window."""
    hours_with_traffic: int


def list_objects(bucket: str, endpoint: str, first: datetime, last: datetime) -> Iterator[CapturedObject]:
    """The objects of the hours from `first` (included) to `last` (not), variant by variant, oldest hour first.

    S3 lists keys in their order, which is that of the hours: the listing begins at the first hour and ends after the
    last, so that the cost grows with the window and not with the whole history.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    begin, end = hour_of(first), hour_of(last + HOUR - timedelta(microseconds=1))
    if begin >= end:
        return
    with session.explained(f"listing s3://{bucket}/{PREFIX}/{endpoint}/"):
        for variant in variants(bucket, endpoint):
            for item in list_prefix(bucket, variant, after=f"{variant}{begin:%Y/%m/%d/%H}/"):
                name = item["Key"].removeprefix(variant)
                if name >= f"{end:%Y/%m/%d/%H}/":
                    break
                hour = hour_of_key(name)
                if hour is not None:
                    yield CapturedObject(key=item["Key"], bytes=item["Size"], etag=item["ETag"], hour=hour)


def variants(bucket: str, endpoint: str) -> list[str]:
    """The prefix of each variant of the endpoint that has captured traffic."""
    return folders(bucket, f"{PREFIX}/{endpoint}/")


def folders(bucket: str, prefix: str) -> list[str]:
    """The prefixes one level below `prefix`, in order."""
    pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]


def list_prefix(bucket: str, prefix: str, *, after: str = "") -> Iterator[Any]:
    """The listing entries of all objects below `prefix` whose keys come after `after`."""
    paginator = session.client("s3").get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=bucket, Prefix=prefix, **({"StartAfter": after} if after else {})):
        yield from page.get("Contents", [])


def hour_of_key(name: str) -> datetime | None:
    """The hour in the name `yyyy/mm/dd/hh/<uuid>.jsonl`; None if the name has another form."""
    try:
        return datetime.strptime(name.rpartition("/")[0], "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_of(moment: datetime) -> datetime:
    """The start of the hour of `moment`, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def measure_volume(bucket: str, endpoint: str, start: datetime, end: datetime) -> CaptureVolume:
    """Measures the traffic captured from `start` (included) to `end` (not), both rounded outwards to whole hours.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    first = hour_of(start)
    hours = max(0, -((first - end.astimezone(UTC)) // HOUR))
    count = size = 0
    busy: set[datetime] = set()
    for item in list_objects(bucket, endpoint, first, first + hours * HOUR):
        count, size = count + 1, size + item.bytes
        busy.add(item.hour)
    return CaptureVolume(objects=count, bytes=size, hours=hours, hours_with_traffic=len(busy))


def last_captured_hour(bucket: str, endpoint: str, before: datetime) -> datetime | None:
    """The latest hour, not after `before`, with captured traffic of the endpoint; None if there is none.

    An hour with nothing but a smoke test counts: only the objects' content would distinguish it.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    latest: datetime | None = None
    with session.explained(f"listing s3://{bucket}/{PREFIX}/{endpoint}/"):
        for variant in variants(bucket, endpoint):
            hour = _latest(bucket, variant, variant, before.astimezone(UTC))
            latest = max(filter(None, (latest, hour)), default=None)
    return latest


def _latest(bucket: str, variant: str, prefix: str, before: datetime) -> datetime | None:
    """Descends from years to hours, newest first, so that it lists a few folders and not every object."""
    for folder in reversed(folders(bucket, prefix)):
        depth = folder.removeprefix(variant).count("/")
        if depth > 4:
            return None
        if depth == 4:
            hour = hour_of_key(folder.removeprefix(variant))
            if hour is not None and hour <= before:
                return hour
        elif (hour := _latest(bucket, variant, folder, before)) is not None:
            return hour
    return None
