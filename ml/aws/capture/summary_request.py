"""What a job counts of a window: the captured objects, the label files and the model. Calls no service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from ml.aws.capture.captured_lines import CapturedObject
from ml.aws.capture.traffic_counts import CountedModel

REQUEST = "request.json"
SUMMARY = "summary.json"
UNREADABLE = "unreadable"
"""The folder of dead letters beside the summary."""
PART_BYTES = 32 << 20
"""A part of the window has consecutive objects of at most so many bytes, and one object at least."""
_MOST_PARTS = 2_048  # of more, Spark's driver would be busy with starting tasks; parts are larger instead
_PARTS_PER_INSTANCE = 4  # at least, where there are as many objects, so that no instance waits long for another


@dataclass(frozen=True, kw_only=True)
class SummaryRequest:
    """A window of one model's traffic, from `start` (included) to `end` (not), with labels known at `as_of`.

    `objects` are the captured objects in the order of their listing, `labels` the keys of label files. A day's labels
    are mature under `min_coverage` and `min_age_days`, as for `ml.aws.labels.join`.
    """

    bucket: str
    start: datetime
    end: datetime
    as_of: datetime
    min_coverage: float
    min_age_days: float
    model: CountedModel
    objects: tuple[CapturedObject, ...]
    labels: tuple[str, ...]
    instances: int

    @property
    def keep(self) -> tuple[str, ...]:
        """The inputs that the join with labels keeps."""
        return (self.model.amount,) if self.model.amount is not None else ()

    def parts(self) -> list[tuple[CapturedObject, ...]]:
        """Consecutive objects that are counted together. No count depends on how many parts there are."""
        size = sum(item.bytes for item in self.objects)
        limit = max(min(PART_BYTES, size // (_PARTS_PER_INSTANCE * self.instances)), size // _MOST_PARTS)
        return list(_together(self.objects, limit))

    def to_json(self) -> str:
        """The JSON form."""
        return json.dumps(
            {
                "bucket": self.bucket,
                "start": self.start.isoformat(),
                "end": self.end.isoformat(),
                "as_of": self.as_of.isoformat(),
                "min_coverage": self.min_coverage,
                "min_age_days": self.min_age_days,
                "model": self.model.to_dict(),
                "objects": [[item.key, item.bytes, item.etag, item.hour.isoformat()] for item in self.objects],
                "labels": self.labels,
                "instances": self.instances,
            },
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> SummaryRequest:
        """The inverse of `to_json`."""
        document = json.loads(text)
        start, end, as_of = (datetime.fromisoformat(document[name]) for name in ("start", "end", "as_of"))
        return cls(
            bucket=document["bucket"],
            start=start,
            end=end,
            as_of=as_of,
            min_coverage=document["min_coverage"],
            min_age_days=document["min_age_days"],
            model=CountedModel.from_dict(document["model"]),
            objects=tuple(
                CapturedObject(key=key, bytes=size, etag=etag, hour=datetime.fromisoformat(hour))
                for key, size, etag, hour in document["objects"]
            ),
            labels=tuple(document["labels"]),
            instances=document["instances"],
        )


def _together(objects: tuple[CapturedObject, ...], limit: int) -> Iterator[tuple[CapturedObject, ...]]:
    part: list[CapturedObject] = []
    held = 0
    for item in objects:
        if part and held + item.bytes > limit:
            yield tuple(part)
            part, held = [], 0
        part.append(item)
        held += item.bytes
    if part:
        yield tuple(part)
