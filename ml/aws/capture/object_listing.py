"""Lists the S3 objects that may hold captured lines of a window.

SageMaker writes `capture/<endpoint>/<variant>/yyyy/mm/dd/hh/<uuid>.jsonl`, where the hour is that of one request in the
file: requests near an hour's end may be in the adjacent hour's file. So the partitions next to a window are listed too,
and the time of each request decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ml.aws import session

PREFIX = "capture"
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedObject:
    """One file of captured requests: its key, its size in bytes, its version, and the hour it is filed under."""

    key: str
    bytes: int
    etag: str
    hour: datetime


def within(bucket: str, endpoint: str, first: datetime, last: datetime) -> Iterator[CapturedObject]:
    """The objects of the hours from `first` (included) to `last` (not), variant by variant, oldest hour first.

    Lists day by day, so that the cost depends on the window and not on everything that was ever captured.

    Raises:
        CloudError: S3 refuses or cannot be reached.
    """
    begin = hour_of(first)
    days = max(0, (last.astimezone(UTC) - timedelta(microseconds=1)).toordinal() - begin.toordinal() + 1)
    with session.explained(f"listing s3://{bucket}/{PREFIX}/{endpoint}/"):
        for variant in variants(bucket, endpoint):
            for index in range(days):
                day = begin + index * timedelta(days=1)
                for item in listed(bucket, f"{variant}{day:%Y/%m/%d}/"):
                    hour = filed_under(item["Key"].removeprefix(variant))
                    if hour is not None and begin <= hour < last:
                        yield CapturedObject(key=item["Key"], bytes=item["Size"], etag=item["ETag"], hour=hour)


def variants(bucket: str, endpoint: str) -> list[str]:
    """The prefix of each captured variant of the endpoint."""
    return folders(bucket, f"{PREFIX}/{endpoint}/")


def folders(bucket: str, prefix: str) -> list[str]:
    """The prefixes one level below `prefix`, in order."""
    pages = session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]


def listed(bucket: str, prefix: str) -> Iterator[Any]:
    """What S3 lists below `prefix`."""
    for page in session.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def filed_under(name: str) -> datetime | None:
    """The hour of `yyyy/mm/dd/hh/<uuid>.jsonl`; None if the key is not captured traffic."""
    try:
        return datetime.strptime(name.rpartition("/")[0], "%Y/%m/%d/%H").replace(tzinfo=UTC)
    except ValueError:
        return None


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour of `moment`, in UTC."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
